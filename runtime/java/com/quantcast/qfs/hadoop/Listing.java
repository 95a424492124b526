package com.quantcast.qfs.hadoop;

import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import sparkqfs.fs.StoredNames;

/**
 * What is in one directory, under the names that are meant, in the order of their bytes in UTF-8, as QFS lists what it
 * stores and HDFS lists all. A directory in which every name is stored as it is costs one look at each name.
 *
 * <p>Java gives QFS a character beyond U+FFFF as two halves of three bytes, and NUL as two bytes; upstream's listing takes
 * those for bytes that are no text, so that nobody finds what it names (2.2.8, KfsAccessBase.java, DirectoryIterator).
 * Upstream's other listing, which says names only, has them right.
 */
final class Listing {
    private static final char LOST = '\uFFFD';
    private static final Comparator<FileStatus> IN_ORDER =
        (one, other) -> compare(one.getPath().getName(), other.getPath().getName());

    private final IFSImpl stored;
    /** The directory as it is stored. */
    private final Path directory;

    Listing(IFSImpl stored, Path directory) {
        this.stored = stored;
        this.directory = directory;
    }

    /** The entries of the directory that is meant. */
    FileStatus[] of(Path meant) throws IOException {
        FileStatus[] found = stored.readdirplus(directory);
        boolean isElsewhere = !meant.equals(directory);
        boolean isLost = false;
        for (FileStatus one : found) {
            isLost |= one.getPath().getName().indexOf(LOST) >= 0;
        }
        if (isLost) {
            found = withLostNames(found);
        }
        boolean isChanged = isLost;
        for (FileStatus one : found) {
            String storedName = one.getPath().getName();
            String name = StoredNames.nameOf(storedName);
            boolean isOther = !name.equals(storedName);
            isChanged |= isOther;
            if (isOther || isElsewhere) {
                one.setPath(child(meant, name));
            }
            if (one.isSymlink()) {
                one.setSymlink(new Path(StoredNames.pathOf(one.getSymlink().toString())));
            }
        }
        if (isChanged) {
            Arrays.sort(found, IN_ORDER);
        }
        return found;
    }

    /** Put together as upstream does, because a name may hold a colon. */
    private static Path child(Path parent, String name) {
        String text = parent.toString();
        return new Path(text.endsWith("/") ? text + name : text + "/" + name);
    }

    /** With the right names where they are known; an entry that stays unknown is listed as upstream lists it. */
    private FileStatus[] withLostNames(FileStatus[] found) throws IOException {
        Map<String, List<String>> names = lostNames();
        Map<String, List<FileStatus>> lost = new HashMap<>();
        List<FileStatus> all = new ArrayList<>();
        for (FileStatus one : found) {
            String shown = one.getPath().getName();
            (names.containsKey(shown) ? lost.computeIfAbsent(shown, key -> new ArrayList<>()) : all).add(one);
        }
        for (Map.Entry<String, List<FileStatus>> entry : lost.entrySet()) {
            List<String> real = names.get(entry.getKey());
            List<FileStatus> listed = entry.getValue();
            if (real.size() == 1 && listed.size() == 1) {
                listed.get(0).setPath(child(directory, real.get(0)));
                all.add(listed.get(0));
                continue;
            }
            for (String name : real) {
                addIfThere(all, child(directory, name));
            }
            all.addAll(listed.subList(Math.min(real.size(), listed.size()), listed.size()));
        }
        return all.toArray(FileStatus[]::new);
    }

    private void addIfThere(List<FileStatus> all, Path path) throws IOException {
        try {
            all.add(stored.lstat(path));
        } catch (FileNotFoundException removedMeanwhile) {
            return;
        }
    }

    /** The names that upstream's listing shows wrong, by what it shows. */
    private Map<String, List<String>> lostNames() throws IOException {
        Map<String, List<String>> names = new HashMap<>();
        String[] all = stored.readdir(directory.toUri().getPath());
        for (String name : all == null ? new String[0] : all) {
            String shown = shown(name);
            if (shown.indexOf(LOST) >= 0) {
                names.computeIfAbsent(shown, key -> new ArrayList<>()).add(name);
            }
        }
        return names;
    }

    /** A name as upstream's listing shows it. */
    private static String shown(String name) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream(name.length());
        for (char unit : name.toCharArray()) {
            if (unit > 0 && unit < 0x80) {
                bytes.write(unit);
            } else if (unit < 0x800) {
                bytes.write(0xC0 | unit >> 6);
                bytes.write(0x80 | unit & 0x3F);
            } else {
                bytes.write(0xE0 | unit >> 12);
                bytes.write(0x80 | unit >> 6 & 0x3F);
                bytes.write(0x80 | unit & 0x3F);
            }
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }

    private static int compare(String one, String other) {
        int shorter = Math.min(one.length(), other.length());
        for (int at = 0; at < shorter; at++) {
            if (one.charAt(at) != other.charAt(at)) {
                return Integer.compare(rank(one.charAt(at)), rank(other.charAt(at)));
            }
        }
        return Integer.compare(one.length(), other.length());
    }

    /** Halves of characters beyond U+FFFF come after all others. */
    private static int rank(char unit) {
        return Character.isSurrogate(unit) ? unit + (1 << 16) : unit;
    }
}
