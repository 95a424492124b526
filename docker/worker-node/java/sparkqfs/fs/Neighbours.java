package sparkqfs.fs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Set;

import org.apache.hadoop.fs.BlockLocation;

/**
 * Names, of the hosts that have a chunk, those that also have the chunks beside it. What a task reads in one piece, a
 * row group of Parquet for one, goes over the borders of chunks: on a host with one chunk only it is partly remote,
 * and the writer's own node has them all.
 */
final class Neighbours {
    private Neighbours() {
    }

    /** The same blocks, each with the hosts that have most of the blocks before and after it. */
    static BlockLocation[] prefer(BlockLocation[] blocks) throws IOException {
        BlockLocation[] preferred = new BlockLocation[blocks.length];
        for (int index = 0; index < blocks.length; index++) {
            preferred[index] = narrowed(
                blocks[index], hosts(blocks, index - 1), hosts(blocks, index + 1));
        }
        return preferred;
    }

    private static Collection<String> hosts(BlockLocation[] blocks, int index) throws IOException {
        return index < 0 || index >= blocks.length ? Set.of() : Arrays.asList(blocks[index].getHosts());
    }

    private static BlockLocation narrowed(BlockLocation block, Collection<String> before, Collection<String> after)
            throws IOException {
        String[] hosts = block.getHosts();
        String[] names = block.getNames();
        int most = 0;
        List<Integer> best = new ArrayList<>();
        for (int index = 0; index < hosts.length; index++) {
            int held = (before.contains(hosts[index]) ? 1 : 0) + (after.contains(hosts[index]) ? 1 : 0);
            if (held > most) {
                most = held;
                best.clear();
            }
            if (held == most) {
                best.add(index);
            }
        }
        if (best.size() == hosts.length) {
            return block;
        }
        return new BlockLocation(
            names.length == hosts.length ? best.stream().map(index -> names[index]).toArray(String[]::new) : names,
            best.stream().map(index -> hosts[index]).toArray(String[]::new),
            block.getOffset(), block.getLength());
    }
}
