#!/usr/bin/python3 -I
import sys

sys.path.append(__file__.rpartition("/bin/")[0])
from sparkqfs_runtime.finished_chunks import main

sys.exit(main(sys.argv[1:]))
