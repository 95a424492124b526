#!/usr/bin/python3
import sys

sys.path.append(__file__.rpartition("/bin/")[0])
from sparkqfs_runtime.metadata.keeper import main

main(sys.argv)
