package com.quantcast.qfs.hadoop;

import java.io.IOException;

import com.quantcast.qfs.access.KfsFileAttr;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;

/** Shows subclasses in other packages the two things that upstream keeps to this one. */
public class OpenQuantcastFileSystem extends QuantcastFileSystem2 {

    /** Attributes with the file id, from the very cache that upstream's open uses. */
    protected KfsFileAttr attributes(Path path) throws IOException {
        return qfsImpl.fullStat(makeAbsolute(path).makeQualified(uri, null));
    }

    /** Like upstream's create with parameters, but a missing parent is an error. */
    protected FSDataOutputStream createInParent(Path file, boolean overwrite, String createParams, int mode)
            throws IOException {
        return qfsImpl.create(makeAbsolute(file).toUri().getPath(), overwrite, createParams, mode, false);
    }
}
