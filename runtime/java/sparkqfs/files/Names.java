package sparkqfs.files;

import org.apache.hadoop.fs.Path;

/** Why a storage does not take a name: its own answer is only that it does not. */
final class Names {
    static final String NO_COLON = "Hadoop knows no colon in a file's name on a local or shared file system";

    private Names() {
    }

    static String whyNot(Path path) {
        String name = path.getName();
        boolean isOdd = name.isEmpty() || !isInner(name.charAt(0)) || !isInner(name.charAt(name.length() - 1)) || name.contains("\n");
        if ("qfs".equals(path.toUri().getScheme()) && isOdd) {
            return "QFS takes no name with a line end, nor one that begins or ends with a blank or a letter beyond ASCII";
        }
        return "the storage does not take this name, or it is taken";
    }

    private static boolean isInner(char letter) {
        return letter > ' ' && letter < 127;
    }
}
