package org.prunepeft.formats;

import java.io.IOException;
import java.io.UncheckedIOException;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.peft.BaseWeights;

/** A model's weights as they are stored; opened when the first is asked for. */
public final class StoredWeights implements BaseWeights, AutoCloseable {
  private final String model;
  private Models.Pretrained opened;
  private Checkpoint encoder;

  /**
   * @param model its name or directory
   */
  public StoredWeights(String model) {
    this.model = model;
  }

  /** The model's architecture and sizes. */
  public EncoderConfig config() throws IOException {
    return open().config();
  }

  private Models.Pretrained open() throws IOException {
    if (opened == null) {
      opened = Models.byName(model).loader().open();
      encoder = opened.encoder();
    }
    return opened;
  }

  @Override
  public SafeTensors.Tensor weight(String path) {
    try {
      open();
      String name = path + ".weight";
      return new SafeTensors.Tensor(encoder.shape(name), encoder.floats(name));
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    if (opened != null) {
      try {
        opened.close();
      } catch (IOException e) {
        throw new UncheckedIOException(e.getMessage(), e);
      }
    }
  }
}
