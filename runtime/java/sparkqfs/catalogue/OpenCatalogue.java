package sparkqfs.catalogue;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.SQLException;

/** Opens a catalogue that nobody else has open, checks all of it and prints what is in it. Argument: its directory. */
public final class OpenCatalogue {
    private OpenCatalogue() {
    }

    public static void main(String[] words) {
        if (words.length != 1) {
            System.err.println("usage: OpenCatalogue DATABASE");
            System.exit(64);
        }
        try {
            Database database = new Database(Path.of(words[0]));
            database.check();
            String contents = Contents.json(database.connection());
            database.shutDown();
            new PrintStream(System.out, true, StandardCharsets.US_ASCII).println("{" + contents + "}");
        } catch (SQLException failed) {
            System.err.println(Copies.said(failed));
            System.exit(1);
        }
    }
}
