package org.prunepeft.peft.supernet;

import java.nio.charset.StandardCharsets;

/** Derives seeds for the parts of a run from the run's one seed. */
public final class Seeds {
  private Seeds() {}

  /**
   * A seed for what `text` names: FNV-1a over the text, begun from the seed and finished by the
   * mixer of SplitMix64.
   */
  public static long derive(long seed, String text) {
    long hash = 0xcbf29ce484222325L ^ seed;
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      hash = (hash ^ (b & 0xff)) * 0x100000001b3L;
    }
    hash = (hash ^ (hash >>> 30)) * 0xbf58476d1ce4e5b9L;
    hash = (hash ^ (hash >>> 27)) * 0x94d049bb133111ebL;
    return hash ^ (hash >>> 31);
  }
}
