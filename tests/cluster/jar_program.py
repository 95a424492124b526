"""A program in a jar, and a jar that it needs in the driver and in the executors, compiled here."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

LIBRARY = """\
package lib;

public class Twice {
    public static String of(int number) {
        return String.valueOf(2 * number);
    }
}
"""
PROGRAM = """\
package app;

public class Main {
    public static void main(String[] words) throws Exception {
        // without Spark's own jars at hand to compile with
        Class<?> session = Class.forName("org.apache.spark.sql.SparkSession");
        Class<?> builder = Class.forName("org.apache.spark.sql.SparkSession$Builder");
        Object spark = builder.getMethod("getOrCreate").invoke(session.getMethod("builder").invoke(null));
        Object rows = session.getMethod("sql", String.class).invoke(spark,
            "SELECT sum(cast(twice AS int)) FROM"
            + " (SELECT java_method('lib.Twice', 'of', cast(id AS int)) AS twice FROM range(0, 100, 1, 6))");
        Object list = Class.forName("org.apache.spark.sql.Dataset").getMethod("collectAsList").invoke(rows);
        System.out.println(list + " " + lib.Twice.of(words.length) + " " + words[0]);
        System.exit(Integer.parseInt(words[1]));
    }
}
"""


def make_jars(folder: Path) -> None:
    """Writes app.jar with the main class app.Main, and lib.jar."""
    if shutil.which("javac") is None:
        pytest.skip("no JDK (javac)")
    classes = folder / "classes"
    for name, source in (("lib/Twice", LIBRARY), ("app/Main", PROGRAM)):
        file = folder / f"{name}.java"
        file.parent.mkdir(exist_ok=True)
        file.write_text(source)
        argv = ("javac", "-Xlint:all,-path", "-Werror", "--release", "17", "-cp", str(classes), "-d", str(classes))
        subprocess.run((*argv, str(file)), check=True)
        with zipfile.ZipFile(folder / f"{Path(name).parent}.jar", "w") as jar:
            jar.write(classes / f"{name}.class", f"{name}.class")
