package org.prunepeft.files;

import java.nio.ByteBuffer;
import org.prunepeft.io.SafeTensors;

/** A checkpoint's tensor, float32 [1]. */
record OneValue(float value) implements SafeTensors.Source {
  @Override
  public SafeTensors.StoredType dtype() {
    return SafeTensors.StoredType.F32;
  }

  @Override
  public long[] shape() {
    return new long[] {1};
  }

  @Override
  public void read(long offset, ByteBuffer target) {
    target.putFloat(value);
  }
}
