# SPDX-License-Identifier: GPL-2.0
"""One of the demo's Python programs.

Imports what a small service would, loads its data, and answers questions about it. Everything it has in memory goes
into an answer, so one wrong byte makes a wrong answer. demo/show.c starts it and asks:

    ask SALT            a checksum of all data
    write N             change some of the data, in a way that depends on N
    expect SALT N       what "ask SALT" would say after "write N"
"""
import argparse, array, asyncio, concurrent.futures, csv, datetime, decimal, difflib, email.message, email.parser
import fractions, glob, hashlib, html.parser, http.client, http.server, inspect, json, logging.config, math, os
import pickle, random, sqlite3, ssl, statistics, sys, tarfile, tempfile, textwrap, tokenize, typing, unittest.mock
import urllib.request, uuid, xml.dom.minidom, xml.etree.ElementTree, zipfile

LIMIT = 2_000_000


def load_texts():
    """A corpus: the source of the standard library."""
    texts = []
    for name in sorted(glob.glob(os.path.dirname(os.__file__) + "/*.py")):
        with open(name, encoding="utf-8") as f:
            texts.append(f.read())
    return texts


def load_catalog(texts):
    """A database in memory: where each word of a part of the corpus is."""
    db = sqlite3.connect(":memory:")
    db.execute("create table word (id integer primary key, text, file, line)")
    for file, text in enumerate(texts[:12]):
        rows = ((w, file, n) for n, line in enumerate(text.splitlines()) for w in line.split()[:3])
        db.executemany("insert into word (text, file, line) values (?, ?, ?)", rows)
    db.execute("create index by_text on word (text)")
    db.commit()
    return db


def load_primes():
    """A table of bytes: prime or not."""
    sieve = bytearray([1]) * LIMIT
    sieve[0] = sieve[1] = 0
    for i in range(2, int(LIMIT ** 0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, LIMIT, i)))
    return sieve


def load_waves():
    """A table of numbers."""
    return array.array("d", map(math.sin, range(100_000)))


class Data:
    def __init__(self):
        self.texts = load_texts()
        self.catalog = load_catalog(self.texts)
        self.primes = load_primes()
        self.waves = load_waves()
        self.buffer = bytearray(b"\0" * 2_000_000)  # work space, not in use yet

    def answer(self, salt):
        h = hashlib.sha256(salt.encode())
        for text in self.texts:
            h.update(text.encode())
        h.update(repr(self.catalog.execute(
            "select count(*), sum(id * file), sum(line), min(text), max(text) from word").fetchone()).encode())
        for row in self.catalog.execute("select text, line from word where id % 16 = 0 order by text, id"):
            h.update(repr(row).encode())
        for part in self.primes, self.waves, self.buffer:
            h.update(part)
        return h.hexdigest()

    def write(self, n):
        for i in range(0, LIMIT, 3 * 4096):
            self.primes[i] = n
            self.buffer[i] = n
        for i in range(0, len(self.waves), 2048):
            self.waves[i] = n
        self.catalog.execute("update word set line = line + ? where id % 500 = 0", (n,))
        self.catalog.commit()

    def expect(self, salt, n):
        """Done by a child, so that the data here stays as it is."""
        r, w = os.pipe()
        if os.fork() == 0:
            self.write(n)
            os.write(w, self.answer(salt).encode())
            os._exit(0)
        os.close(w)
        with os.fdopen(r) as f:
            answer = f.read()
        os.wait()
        return answer


def main():
    data = Data()
    print("ready", flush=True)
    for line in sys.stdin:
        match line.split():
            case "ask", salt:
                print(data.answer(salt), flush=True)
            case "write", n:
                data.write(int(n))
                print("done", flush=True)
            case "expect", salt, n:
                print(data.expect(salt, int(n)), flush=True)


main()
