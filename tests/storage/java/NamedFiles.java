import java.net.URI;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Writes files of all kinds of names that are to have two copies, and one that is to have one. */
public final class NamedFiles {
    private NamedFiles() {
    }

    public static void main(String[] words) throws Exception {
        try (FileSystem files = FileSystem.get(URI.create(words[0]), new Configuration())) {
            for (String name : new String[] {"/two", "/new\nline", "/rtl\u202egpj.exe"}) {
                write(files, name, 2, 1000);
            }
            write(files, "/one", 1, 777);
        }
    }

    private static void write(FileSystem files, String name, int copies, int bytes) throws Exception {
        Path path = new Path(null, null, name);
        try (FSDataOutputStream stream = files.create(path, true, 4096, (short) copies, 134_217_728L)) {
            stream.write(new byte[bytes]);
        }
    }
}
