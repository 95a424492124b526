package sparkqfs.fs;

import java.util.HashMap;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a metaserver says of its chunkservers when it is asked by PING: QFS 2.2.8, src/cc/meta/ChunkServer.cc
 * ({@code Ping}) and LayoutManager.cc ({@code Handle(MetaPing&)}).
 */
record Chunkservers(int able, int missing) {
    private static final double QFS_FULLEST = 0.95;
    private static final Pattern FULLEST = Pattern.compile("\\bmetaServer\\.maxSpaceUtilizationThreshold=([0-9.]+)");
    private static final Pattern MISSING = Pattern.compile("\\bHibernated servers= (\\d+)");

    /**
     * {@code able}: how many could have a copy more: connected, not about to retire, and with room. Room is judged by what
     * is on the disks. The metaserver itself also takes off a whole chunk for each one that it has given to a server since
     * that one's last heartbeat, which is forgotten with the next. {@code missing}: how many are down and may come back, so
     * that their copies count (metaServer.serverDownReplicationDelay).
     */
    static Chunkservers of(Map<String, String> answer) {
        Matcher set = FULLEST.matcher(answer.getOrDefault("config", ""));
        double fullest = set.find() ? Double.parseDouble(set.group(1)) : QFS_FULLEST;
        int able = 0;
        for (String server : answer.getOrDefault("servers", "").split("\t")) {
            if (isAble(fields(server), fullest)) {
                able++;
            }
        }
        Matcher missing = MISSING.matcher(answer.getOrDefault("system info", ""));
        return new Chunkservers(able, missing.find() ? Integer.parseInt(missing.group(1)) : 0);
    }

    private static boolean isAble(Map<String, String> server, double fullest) {
        if (!is(server, "connected", 1) || !is(server, "replay", 0) || !is(server, "stopped", 0)) {
            return false;
        }
        boolean isRetiring = is(server, "numWritableDrives", 0) && is(server, "overloaded", 0);
        double total = number(server, "total");
        return !isRetiring && number(server, "numDrives") > 0 && total - number(server, "free") <= fullest * total;
    }

    private static boolean is(Map<String, String> server, String name, int value) {
        return server.containsKey(name) && number(server, name) == value;
    }

    private static double number(Map<String, String> server, String name) {
        return Double.parseDouble(server.getOrDefault(name, "0"));
    }

    private static Map<String, String> fields(String server) {
        Map<String, String> fields = new HashMap<>();
        for (String field : server.split(", ")) {
            int equals = field.indexOf('=');
            if (equals > 0) {
                fields.put(field.substring(0, equals).strip(), field.substring(equals + 1).strip());
            }
        }
        return fields;
    }
}
