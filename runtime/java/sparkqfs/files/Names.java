package sparkqfs.files;

/** Why a storage does not take a name, where its own answer is only that it does not. */
final class Names {
    static final String NO_COLON = "Hadoop knows no colon in a file's name on a local or shared file system";
    static final String NOT_TAKEN = "the storage does not take this name, or it is taken";

    private Names() {
    }
}
