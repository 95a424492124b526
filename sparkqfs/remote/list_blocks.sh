# shellcheck shell=sh disable=SC2086,SC2154
# Part of scripts that sparkqfs/jobs/storage/aside.py sends: the names of blocks without their version, and their sizes,
# into a file. QFS's FILE.CHUNK.VERSION, HDFS's blk_NUMBER; what the storage has put aside itself is not counted.
list_blocks() {
  list_dir=$1 list_file=$2 list_links=$3
  find -H "$list_dir" -type d \( -name lost+found -o -name dirty \) -prune -o \
    -type f $block_files $list_links -printf '%f\t%s\n' > "$list_file.raw"
  sed -e 's/^\([0-9]*\.[0-9]*\)\.[0-9]*\t/\1\t/' "$list_file.raw" >> "$list_file"
}
