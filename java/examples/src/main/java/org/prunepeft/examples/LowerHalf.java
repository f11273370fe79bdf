package org.prunepeft.examples;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.TreeMap;
import org.prunepeft.io.MapCheckpoint;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.PostNormEncoder;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Pretrained;
import org.prunepeft.torch.ComputeDevice;

/** A model: the lower half of MiniLM's layers, for half of the time. */
public final class LowerHalf implements Models.Loader {
  /** For {@link Models#register}. */
  public static final Models.KnownModel ENTRY =
      new Models.KnownModel(
          "minilm-half",
          "the lower three layers of all-MiniLM-L6-v2",
          "as minilm",
          "Apache-2.0",
          new LowerHalf());

  @Override
  public Models.LoadedModel load(Precision precision, ComputeDevice device) {
    try (Pretrained whole = Models.byName("minilm").loader().open()) {
      EncoderConfig three = whole.config().withLayers(whole.config().layers() / 2);
      Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
      for (String name : whole.weights().names()) {
        if (!name.matches("encoder\\.layer\\.[3-5]\\..*")) {
          tensors.put(
              name,
              new SafeTensors.Tensor(whole.weights().shape(name), whole.weights().floats(name)));
        }
      }
      return new Models.LoadedModel(
          new PostNormEncoder(three, new MapCheckpoint("minilm-half", tensors), precision, device),
          whole.tokenizer());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
