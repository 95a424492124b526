package sparkqfs.catalogue;

import java.io.PrintStream;
import java.io.Writer;
import java.util.regex.Pattern;

/** What Derby says on standard error, without the dozen lines for each database that it opens or closes. */
public final class DerbyLog extends Writer {
    /** For {@code derby.stream.error.field}. */
    public static final Writer LINES = new DerbyLog(System.err);

    private static final Pattern USUAL = Pattern.compile("-*|Booting Derby version .*|on database directory .*"
        + "|Loaded from .*|(java|user|os|derby)\\.[a-zA-Z.]*=.*|Database Class Loader started.*"
        + "|\\w{3} \\w{3} \\d\\d [0-9:]{8} .* \\d{4} ?:?|.*Shutting down instance .*|with class loader .*");

    private final PrintStream target;
    private final StringBuilder line = new StringBuilder();

    DerbyLog(PrintStream target) {
        this.target = target;
    }

    @Override
    public void write(char[] text, int begin, int length) {
        synchronized (lock) {
            for (char one : new String(text, begin, length).toCharArray()) {
                if (one != '\n') {
                    line.append(one);
                    continue;
                }
                String whole = line.toString().strip();
                line.setLength(0);
                if (!USUAL.matcher(whole).matches()) {
                    target.println(whole);
                }
            }
        }
    }

    @Override
    public void flush() {
        target.flush();
    }

    @Override
    public void close() {
        flush();
    }
}
