package sparkqfs.fs;

import java.io.IOException;

/** A local replica cannot be trusted, so the range goes to upstream's reader. Never leaves this package. */
final class Doubt extends IOException {
    private static final long serialVersionUID = 1L;

    /** Why; the names are part of what {@link ReadCounters#snapshot} shows. */
    enum Reason {
        /** The path may have come to mean another file, or another length, while it was opened. */
        FILE,
        /** Reed-Solomon, or blocks in an object store. */
        STRIPED,
        /** The metaserver did not answer, or refused. */
        METASERVER,
        /** No chunk at this offset: a hole, or the file was deleted. */
        HOLE,
        /** The metaserver names this node, but no directory has the file: being written, moved or lost. */
        MISSING,
        /** Two chunk directories have it. */
        DUPLICATE,
        /** The file is there and cannot be opened or read. */
        UNREADABLE,
        /** The header is not that of this chunk and version, or its checksum is wrong. */
        HEADER,
        /** The chunk ends before the range, in its header or on the disk. */
        SHORT,
        /** A block does not match its checksum. */
        CHECKSUM,
        /** The file was there when it was opened and was gone, or another one, after the read. */
        CHANGED,
    }

    final Reason reason;
    /** Whether the replica's bytes are not as they were written. */
    final boolean isDamage;

    Doubt(Reason reason, String message) {
        this(reason, message, reason == Reason.CHECKSUM || reason == Reason.HEADER || reason == Reason.SHORT
            || reason == Reason.UNREADABLE);
    }

    Doubt(Reason reason, String message, boolean isDamage) {
        super(reason + ": " + message, null);
        this.reason = reason;
        this.isDamage = isDamage;
    }
}
