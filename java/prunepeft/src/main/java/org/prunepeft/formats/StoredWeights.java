package org.prunepeft.formats;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.function.Consumer;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.Pretrained;
import org.prunepeft.model.Quantization;
import org.prunepeft.peft.BaseWeights;

/** A model's weights as they are stored; opened when the first is asked for. */
public final class StoredWeights implements BaseWeights, AutoCloseable {
  private final String model;
  private final Quantization quantization;
  private final Consumer<List<FileChecksum>> requirement;
  private Pretrained opened;
  private Checkpoint encoder;

  /**
   * @param model its name or directory
   */
  public StoredWeights(String model) {
    this(model, Quantization.NONE, files -> {});
  }

  /**
   * @param model its name or directory
   * @param quantization of its layers' linears: their weights have the values that are left
   * @param requirement is given what its files hold when it is opened, and throws if that is not
   *     what it should be
   */
  public StoredWeights(
      String model, Quantization quantization, Consumer<List<FileChecksum>> requirement) {
    this.model = model;
    this.quantization = quantization;
    this.requirement = requirement;
  }

  /** What the model's files hold. */
  public List<FileChecksum> files() throws IOException {
    return open().files();
  }

  /** The model's architecture and sizes. */
  public EncoderConfig config() throws IOException {
    return open().config();
  }

  /**
   * Checks, once all is read, that what the files hold is what was read.
   *
   * @throws UncheckedIOException if one has changed meanwhile; names it and the remedy
   */
  public void requireUnchanged() {
    try {
      if (opened != null) {
        opened.read().requireUnchanged();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e.getMessage(), e);
    }
  }

  private Pretrained open() throws IOException {
    if (opened == null) {
      opened = Models.byName(model).loader().open().quantized(quantization);
      requirement.accept(opened.files());
      encoder = opened.encoder();
    }
    return opened;
  }

  @Override
  public SafeTensors.Tensor weight(String path) {
    try {
      EncoderConfig config = open().config();
      if (config.architecture().hasFusedProjections()) {
        return StoredLinear.weight(config, encoder, path);
      }
      String name = path + ".weight";
      return new SafeTensors.Tensor(encoder.shape(name), encoder.finiteFloats(name));
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
