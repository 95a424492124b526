package sparkqfs.copy;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Copies as an executor does, with overwrite. Usage: CopyOnce SOURCE TARGET END KEY=VALUE…: settings of Hadoop. */
public final class CopyOnce {
    private CopyOnce() {
    }

    public static void main(String[] words) throws Exception {
        Configuration conf = new Configuration();
        for (int at = 3; at < words.length; at++) {
            String[] pair = words[at].split("=", 2);
            conf.set(pair[0], pair[1]);
        }
        System.out.println(Copy.of(new Path(words[0]), new Path(words[1]), true, Long.parseLong(words[2]), conf));
    }
}
