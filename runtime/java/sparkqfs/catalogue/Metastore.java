package sparkqfs.catalogue;

import java.lang.reflect.InvocationTargetException;
import java.nio.file.Path;

/**
 * Hive's metastore, and beside it in the same process, as Derby wants it, the copies of its database.
 *
 * Arguments: PORT DATABASE COPIES.
 */
public final class Metastore {
    private Metastore() {
    }

    public static void main(String[] words) throws ReflectiveOperationException {
        if (words.length != 3) {
            System.err.println("usage: Metastore PORT DATABASE COPIES");
            System.exit(64);
        }
        Copies copies = new Copies(Path.of(words[1]), Path.of(words[2]));
        Thread thread = new Thread(copies, "copies of the catalogue");
        thread.setDaemon(true);
        thread.start();
        try {
            Class.forName("org.apache.hadoop.hive.metastore.HiveMetaStore").getMethod("main", String[].class)
                .invoke(null, (Object) new String[] {"-p", words[0]});
        } catch (InvocationTargetException failed) {
            failed.getCause().printStackTrace();
            System.exit(1);
        }
    }
}
