package sparkqfs.fs;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.hadoop.fs.BlockLocation;

/**
 * Names, of the hosts that have a chunk, those that a scheduler should prefer. What a task reads in one piece, a row
 * group of Parquet for one, goes over the borders of chunks: on a host with one chunk only it is partly remote, and the
 * writer's own node has them all. So the hosts are named that also have most of the chunks beside it; but where that
 * sends much more of a large file to one host than its share, each host is named for {@link Stretches}.
 */
final class Neighbours {
    /** A file of so many chunks stays together: a host works on them at the same time. */
    private static final int SMALL_CHUNKS = 4;

    private Neighbours() {
    }

    /**
     * What is between {@code start} and {@code end}, each block with some of its hosts. {@code blocks} are those of the
     * whole file, so that a chunk's hosts are the same whatever is asked for.
     */
    static BlockLocation[] prefer(BlockLocation[] blocks, long start, long end) throws IOException {
        List<List<String>> owners = new ArrayList<>();
        for (BlockLocation block : blocks) {
            owners.add(Arrays.asList(block.getHosts()));
        }
        List<List<String>> named = besideMost(owners);
        Stretches stretches = new Stretches(owners);
        if (owners.size() > SMALL_CHUNKS && mostAlone(named) > stretches.most()) {
            named = stretches.named();
        }
        List<BlockLocation> preferred = new ArrayList<>();
        for (int index = 0; index < blocks.length; index++) {
            long from = Math.max(start, blocks[index].getOffset());
            long to = Math.min(end, blocks[index].getOffset() + blocks[index].getLength());
            if (from < to) {
                preferred.add(narrowed(blocks[index], named.get(index), from, to));
            }
        }
        return preferred.toArray(BlockLocation[]::new);
    }

    /** Of each chunk's hosts those that have most of the chunks before and after it. */
    private static List<List<String>> besideMost(List<List<String>> owners) {
        List<List<String>> named = new ArrayList<>();
        for (int index = 0; index < owners.size(); index++) {
            List<String> before = index == 0 ? List.of() : owners.get(index - 1);
            List<String> after = index + 1 == owners.size() ? List.of() : owners.get(index + 1);
            int most = 0;
            List<String> best = new ArrayList<>();
            for (String host : owners.get(index)) {
                int held = (before.contains(host) ? 1 : 0) + (after.contains(host) ? 1 : 0);
                if (held > most) {
                    most = held;
                    best.clear();
                }
                if (held == most) {
                    best.add(host);
                }
            }
            named.add(best);
        }
        return named;
    }

    private static long mostAlone(List<List<String>> named) {
        Map<String, Integer> alone = new HashMap<>();
        named.stream().filter(hosts -> hosts.size() == 1).forEach(hosts -> alone.merge(hosts.get(0), 1, Integer::sum));
        return alone.values().stream().mapToInt(Integer::intValue).max().orElse(0);
    }

    private static BlockLocation narrowed(BlockLocation block, List<String> named, long from, long to)
            throws IOException {
        List<String> hosts = Arrays.asList(block.getHosts());
        String[] names = block.getNames();
        return new BlockLocation(
            names.length == hosts.size() ? named.stream().map(host -> names[hosts.indexOf(host)]).toArray(String[]::new)
                : names,
            named.toArray(String[]::new), from, to - from);
    }
}
