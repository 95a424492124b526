"""Reads all chunk files of a node every night, and has damaged ones made again. QFS: HDFS has a scanner of its own."""
