# shellcheck shell=sh disable=SC2086,SC2154
# Part of scripts that sparkqfs/jobs/storage/aside.py sends: the names of blocks without their version, and their sizes.
# QFS's FILE.CHUNK.VERSION, HDFS's blk_NUMBER; what the storage has put aside itself is not counted.
list_blocks() {
  list_blocks_dir=$1
  find -H "$list_blocks_dir" -type d \( -name lost+found -o -name dirty \) -prune -o -type f $block_files -printf '%f\t%s\n' |
    sed -e 's/^\([0-9]*\.[0-9]*\)\.[0-9]*\t/\1\t/'
}
