package sparkqfs.fs;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.zip.CRC32;

/**
 * The names under which QFS stores what it does not take, and back: docs/decisions/0036. QFS's client refuses a name whose
 * first or last byte is a blank, a control character or above 127, and one with a line end; it takes 256 bytes
 * (2.2.8, src/cc/libclient/KfsClient.cc, {@code ValidateName}). Such a name is stored with marks: {@code Übersicht} as
 * {@code ~.Übersicht~} and eight digits of a checksum. A name that is the stored form of another one is stored with marks
 * too, so that no two names meet. Every other name is stored as it is. The runtime's {@code stored_names.py} says the
 * same in Python.
 */
public final class StoredNames {
    /** Bytes of a name as it is stored; QFS, src/cc/libclient/KfsClient.h. */
    static final int MOST_NAME_BYTES = 256;
    /** Bytes of a path; QFS, src/cc/common/kfstypes.h. */
    static final int MOST_PATH_BYTES = 3 * (4 << 10);
    private static final char MARK = '~';
    private static final char END = '.';
    private static final int SUM_DIGITS = 8;

    private StoredNames() {
    }

    /** Every name of a path as it is stored; the very same text where nothing has another form. */
    public static String ofPath(String path) {
        return eachName(path, true);
    }

    /** The path whose names are stored so; the very same text where nothing has another form. */
    public static String pathOf(String stored) {
        return eachName(stored, false);
    }

    private static String eachName(String path, boolean toStored) {
        StringBuilder changed = null;
        for (int start = 0; start <= path.length();) {
            int slash = path.indexOf('/', start);
            int end = slash < 0 ? path.length() : slash;
            String name = path.substring(start, end);
            String other = toStored ? ofName(name) : nameOf(name);
            if (changed == null && !other.equals(name)) {
                changed = new StringBuilder(path.substring(0, start));
            }
            if (changed != null) {
                changed.append(other).append(slash < 0 ? "" : "/");
            }
            start = end + 1;
        }
        return changed == null ? path : changed.toString();
    }

    /** One name as it is stored. */
    public static String ofName(String name) {
        if (!isRefused(name) && decoded(name) == null) {
            return name;
        }
        String marked = marked(name);
        return marked + MARK + sum(marked);
    }

    /** The name that is stored so. */
    public static String nameOf(String stored) {
        String name = decoded(stored);
        return name == null ? stored : name;
    }

    /** A new path as it is stored. Fails for one that QFS would refuse for its length, and says so. */
    public static String ofNew(String path) throws IOException {
        String stored = ofPath(path);
        String tooLong = tooLong(stored);
        if (tooLong != null) {
            throw new IOException(path + ": " + tooLong);
        }
        return stored;
    }

    /** Why nothing can have this stored path; null where something can. */
    public static String tooLong(String stored) {
        if (stored.length() * 3L <= MOST_NAME_BYTES) {
            return null;
        }
        for (String name : stored.split("/")) {
            if (length(name) > MOST_NAME_BYTES) {
                return "QFS takes names of " + MOST_NAME_BYTES + " bytes at most, and this one has " + length(name)
                    + (nameOf(name).equals(name) ? "" : " as it is stored") + ": " + name;
            }
        }
        int bytes = length(stored);
        return bytes > MOST_PATH_BYTES
            ? "QFS takes paths of " + MOST_PATH_BYTES + " bytes at most, and this one has " + bytes : null;
    }

    /** Bytes of a text as Java gives it to QFS: three for each half of a character beyond U+FFFF, two for NUL. */
    private static int length(String text) {
        return text.chars().map(unit -> unit > 0 && unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3).sum();
    }

    private static boolean isRefused(String name) {
        return !name.isEmpty() && (!isInner(name.charAt(0)) || !isInner(name.charAt(name.length() - 1))
            || name.indexOf('\n') >= 0 || name.indexOf('\r') >= 0);
    }

    private static boolean isInner(char letter) {
        return letter > ' ' && letter < 0x80;
    }

    /**
     * With marks, but without the checksum: {@code ~.} before a first letter that QFS refuses, {@code ~HEX.} for a character
     * that must not be there or that upstream's listing does not show right.
     */
    private static String marked(String name) {
        StringBuilder text = new StringBuilder(name.length() + SUM_DIGITS + 3);
        if (!isInner(name.charAt(0))) {
            text.append(MARK).append(END);
        }
        for (int at = 0; at < name.length(); at++) {
            int point = name.codePointAt(at);
            if (point == MARK || point == 0 || point == '\n' || point == '\r' || point > 0xFFFF || isHalf(point)) {
                text.append(MARK).append(Integer.toHexString(point).toUpperCase()).append(END);
            } else {
                text.append((char) point);
            }
            at += Character.charCount(point) - 1;
        }
        return text.toString();
    }

    private static boolean isHalf(int point) {
        return point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE;
    }

    private static String sum(String marked) {
        CRC32 sum = new CRC32();
        sum.update(marked.getBytes(StandardCharsets.UTF_8));
        return HexFormat.of().toHexDigits((int) sum.getValue());
    }

    /** The name of a stored form; null for what is none, as it stands for itself. */
    private static String decoded(String stored) {
        int mark = stored.length() - SUM_DIGITS - 1;
        if (mark <= 0 || stored.charAt(mark) != MARK) {
            return null;
        }
        String marked = stored.substring(0, mark);
        if (!stored.endsWith(sum(marked))) {
            return null;
        }
        StringBuilder name = new StringBuilder(mark);
        int at = stored.startsWith("" + MARK + END) ? 2 : 0;
        while (at < mark) {
            int end = stored.charAt(at) == MARK ? stored.indexOf(END, at) : at;
            try {
                name.appendCodePoint(end == at ? stored.charAt(at) : Integer.parseInt(stored, at + 1, end, 16));
            } catch (IllegalArgumentException | IndexOutOfBoundsException strange) {
                return null;
            }
            at = end + 1;
        }
        String found = name.toString();
        boolean isForm = isRefused(found) || !found.isEmpty() && decoded(found) != null;
        return isForm && marked(found).equals(marked) ? found : null;
    }
}
