package sparkqfs.fs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import com.quantcast.qfs.access.KfsFileAttr;
import org.apache.hadoop.conf.Configuration;

/**
 * Whom upstream's client reads as: the process's effective user and group, or the configured ones. QFS 2.2.8,
 * src/cc/common/kfsdecls.h, PermissionsT; without its groups of several users, so this allows less, never more.
 */
record Rights(long user, long group) {
    private static final int OWNER_READS = 0400;
    private static final int GROUP_READS = 0040;
    private static final int OTHERS_READ = 0004;

    static Rights of(Configuration conf) throws IOException {
        return new Rights(conf.getLong("fs.qfs.euser", own("Uid:")), conf.getLong("fs.qfs.egroup", own("Gid:")));
    }

    /** The second number is the effective one. */
    private static long own(String field) throws IOException {
        for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
            if (line.startsWith(field)) {
                return Long.parseLong(line.split("\\s+")[2]);
            }
        }
        throw new IOException("/proc/self/status has no " + field);
    }

    boolean mayRead(KfsFileAttr file) {
        if (user == KfsFileAttr.KFS_USER_ROOT) {
            return true;
        }
        int bit = file.owner == user ? OWNER_READS : file.group == group ? GROUP_READS : OTHERS_READ;
        return (file.mode & bit) != 0;
    }
}
