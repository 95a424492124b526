import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.util.Arrays;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Writes files and says of each when it is closed; or reads them and says of each whether all bytes are right.
 * Arguments: write or read, the file system, how many files, bytes of the largest. Lines: done, good, other, absent.
 */
final class Acknowledged {
    private Acknowledged() {
    }

    public static void main(String[] arguments) throws IOException {
        Configuration conf = new Configuration();
        conf.setInt("dfs.client.max.block.acquire.failures", 0);
        conf.setInt("dfs.client.retry.window.base", 1);
        int count = Integer.parseInt(arguments[2]);
        int largest = Integer.parseInt(arguments[3]);
        try (FileSystem system = FileSystem.get(URI.create(arguments[1]), conf)) {
            for (int number = 0; number < count; number++) {
                Path path = new Path("/f" + number);
                byte[] content = content(number, largest);
                System.out.println(arguments[0].equals("write") ? write(system, path, content)
                    : read(system, path, content));
                System.out.flush();
            }
        }
    }

    private static byte[] content(int number, int largest) {
        Random random = new Random(number);
        byte[] content = new byte[1 + random.nextInt(largest)];
        random.nextBytes(content);
        return content;
    }

    private static String write(FileSystem system, Path path, byte[] content) throws IOException {
        try (OutputStream out = system.create(path, true)) {
            out.write(content);
        }
        return "done";
    }

    private static String read(FileSystem system, Path path, byte[] content) throws IOException {
        if (!system.exists(path)) {
            return "absent";
        }
        try (InputStream in = system.open(path)) {
            return Arrays.equals(in.readAllBytes(), content) ? "good" : "other";
        } catch (IOException lost) {
            return "other";
        }
    }
}
