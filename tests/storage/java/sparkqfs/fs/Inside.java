package sparkqfs.fs;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import com.quantcast.qfs.access.KfsFileAttr;
import org.apache.hadoop.fs.BlockLocation;

/** Asks single classes of the package. Commands on standard input, one answer a line. */
public final class Inside {
    private static final long CHUNK_BYTES = 1 << 26;

    private static Metaserver metaserver;

    private Inside() {
    }

    public static void main(String[] arguments) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String answer;
            try {
                answer = command(line.split(" "));
            } catch (Exception failure) {
                answer = "failed " + failure;
            }
            System.out.println(answer.replace('\n', ' '));
            System.out.flush();
        }
    }

    private static String command(String[] words) throws Exception {
        switch (words[0]) {
            case "prefer":
                return prefer(words);
            case "metaserver":
                metaserver = new Metaserver(words[1], Integer.parseInt(words[2]));
                return "made";
            case "locate":
                return locate(Long.parseLong(words[1]));
            case "chunkservers":
                return metaserver.chunkservers().able() + " " + metaserver.chunkservers().missing();
            case "damaged":
                return damaged(words);
            case "rights":
                return rights(words);
            case "close":
                metaserver.close();
                return "closed";
            default:
                throw new IllegalArgumentException(words[0]);
        }
    }

    /** A doubt about a chunk, told as by a stream in the container of the first server; servers are address:port. */
    private static String damaged(String[] words) {
        Map<String, Integer> ports = new LinkedHashMap<>();
        for (String server : words[3].split(",")) {
            ports.put(server.split(":")[0], Integer.valueOf(server.split(":")[1]));
        }
        Metaserver.Chunk chunk = new Metaserver.Chunk(Long.parseLong(words[2]), 1, ports);
        DamagedReplicas.report(chunk, ports.keySet().iterator().next(), new Doubt(Doubt.Reason.valueOf(words[1]), "test"));
        return "told";
    }

    /** Whether a user of a group may read a file with this owner, group and mode. */
    private static String rights(String[] words) {
        KfsFileAttr file = new KfsFileAttr();
        file.owner = Long.parseLong(words[3]);
        file.group = Long.parseLong(words[4]);
        file.mode = Integer.parseInt(words[5]);
        return "" + new Rights(Long.parseLong(words[1]), Long.parseLong(words[2])).mayRead(file);
    }

    /** A chunk's id, or why there is none. */
    private static String locate(long fileId) {
        try {
            return metaserver.locate(fileId, 0).id() + "";
        } catch (Doubt doubt) {
            return doubt.reason + " " + doubt.getMessage();
        }
    }

    /** The hosts that a scheduler is told of; each chunk is a word, its owners between commas. */
    private static String prefer(String[] words) throws IOException {
        BlockLocation[] blocks = new BlockLocation[words.length - 1];
        for (int i = 0; i < blocks.length; i++) {
            String[] hosts = words[i + 1].equals("-") ? null : words[i + 1].split(",");
            blocks[i] = new BlockLocation(null, hosts, i * CHUNK_BYTES, CHUNK_BYTES);
        }
        List<String> named = new ArrayList<>();
        for (BlockLocation block : Neighbours.prefer(blocks, 0, Long.MAX_VALUE)) {
            named.add(block.getHosts().length == 0 ? "-" : String.join(",", block.getHosts()));
        }
        return String.join(" ", named);
    }
}
