package org.prunepeft.search;

import java.nio.charset.StandardCharsets;
import java.util.Comparator;

/** Draws from a seed and a name: the same on every machine and in any order of the names. */
final class SeededHash {
  private SeededHash() {}

  /** FNV-1a over the name's UTF-8 bytes, mixed with the seed by the finaliser of SplitMix64. */
  static long of(long seed, String name) {
    long hash = 0xcbf29ce484222325L;
    for (byte b : name.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    return mix(mix(seed + 0x9e3779b97f4a7c15L) ^ hash);
  }

  /** A random order of modules that only the seed and their names decide. */
  static Comparator<Candidate> order(long seed) {
    return Comparator.comparingLong((Candidate module) -> of(seed, module.name()))
        .thenComparing(Candidate::name);
  }

  private static long mix(long z) {
    z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
    z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
    return z ^ (z >>> 31);
  }
}
