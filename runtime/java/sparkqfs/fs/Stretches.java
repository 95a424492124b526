package sparkqfs.fs;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Shares a file's chunks out among the hosts that have them, in stretches as long as can be: a host is named for its
 * share, and for a quarter more where the others of a chunk have theirs. What no owner has room for names all of them.
 */
final class Stretches {
    private static final double MOST_SHARES = 1.25;

    private final List<List<String>> owners;
    private final int share;
    private final int most;
    private final Map<String, Integer> loads = new HashMap<>();
    /** Hosts whose chunks nobody can take; nobody's room grows. */
    private final Set<String> stuck = new HashSet<>();
    private final List<List<String>> named = new ArrayList<>();

    /** {@code owners}: the hosts of each chunk of the file, none where there is no chunk. */
    Stretches(List<List<String>> owners) {
        this.owners = owners;
        int hosts = (int) Math.max(1, owners.stream().flatMap(List::stream).distinct().count());
        share = (owners.size() + hosts - 1) / hosts;
        most = Math.max(share, (int) (MOST_SHARES * owners.size() / hosts));
    }

    /** For how many chunks a host may be named alone. */
    int most() {
        return most;
    }

    /** The hosts to name for each chunk; the same for the same owners, in whatever order they come. */
    List<List<String>> named() {
        while (named.size() < owners.size()) {
            if (!addStretch(share) && !addStretch(most) && !addByMoving()) {
                List<String> all = byLoad(owners.get(named.size()));
                all.stream().findFirst().ifPresent(idlest -> loads.merge(idlest, 1, Integer::sum));
                named.add(all);
            }
        }
        return named;
    }

    private int load(String host) {
        return loads.getOrDefault(host, 0);
    }

    private List<String> byLoad(List<String> hosts) {
        return hosts.stream().sorted(Comparator.comparing(this::load).thenComparing(Comparator.naturalOrder())).toList();
    }

    /** The longest one from here on whose host is then named for at most {@code limit} chunks. */
    private boolean addStretch(int limit) {
        String best = null;
        int longest = 0;
        for (String host : byLoad(owners.get(named.size()))) {
            int length = stretch(host, limit - load(host));
            if (length > longest) {
                longest = length;
                best = host;
            }
        }
        if (best == null) {
            return false;
        }
        loads.merge(best, longest, Integer::sum);
        named.addAll(Collections.nCopies(longest, List.of(best)));
        return true;
    }

    /** How many chunks from here on the host has in a row, up to {@code limit}. */
    private int stretch(String host, int limit) {
        int start = named.size();
        int length = 0;
        while (length < limit && start + length < owners.size() && owners.get(start + length).contains(host)) {
            length++;
        }
        return length;
    }

    /** An owner of this chunk takes it, and another host with room one of that owner's. */
    private boolean addByMoving() {
        for (String owner : byLoad(owners.get(named.size()))) {
            if (stuck.contains(owner)) {
                continue;
            }
            for (int index = named.size() - 1; index >= 0; index--) {
                if (!named.get(index).equals(List.of(owner))) {
                    continue;
                }
                String other = byLoad(owners.get(index)).get(0);
                if (load(other) < most) {
                    named.set(index, List.of(other));
                    named.add(List.of(owner));
                    loads.merge(other, 1, Integer::sum);
                    return true;
                }
            }
            stuck.add(owner);
        }
        return false;
    }
}
