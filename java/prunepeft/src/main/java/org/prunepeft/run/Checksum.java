package org.prunepeft.run;

import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.List;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.train.head.HeadFit;

/** Shows whether examples are the same to the bit. */
final class Checksum {
  private Checksum() {}

  /** SHA-256 of all outputs and targets, in their order. */
  static String of(List<HeadFit.Examples> sets) {
    MessageDigest digest = FileChecksum.digest();
    for (HeadFit.Examples set : sets) {
      ByteBuffer outputs = ByteBuffer.allocate(Float.BYTES * set.pooled().length);
      outputs.asFloatBuffer().put(set.pooled());
      digest.update(outputs);
      ByteBuffer targets = ByteBuffer.allocate(Double.BYTES * set.targets().length);
      targets.asDoubleBuffer().put(set.targets());
      digest.update(targets);
    }
    return FileChecksum.hex(digest);
  }
}
