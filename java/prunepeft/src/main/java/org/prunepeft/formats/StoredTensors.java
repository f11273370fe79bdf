package org.prunepeft.formats;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Tensor;

/** The tensors of an adapter file, taken one by one, so that none is passed over. */
final class StoredTensors {
  private final Path file;
  private final Map<String, Tensor> tensors = new TreeMap<>();

  /**
   * @param remedy by which option the library saves such a file
   * @throws FormatException if there is no such file, it is damaged, or a value is not finite
   * @throws IOException if reading fails
   */
  StoredTensors(Path directory, String name, String remedy) throws IOException {
    file = directory.resolve(name);
    if (!Files.exists(file)) {
      throw new FormatException("%s has no %s; %s".formatted(directory, name, remedy));
    }
    try (SafeTensors stored = SafeTensors.open(file)) {
      take(stored);
    }
  }

  /**
   * @param stored the file, open
   * @throws FormatException if a value is not finite
   * @throws IOException if reading fails
   */
  StoredTensors(Path file, Checkpoint stored) throws IOException {
    this.file = file;
    take(stored);
  }

  private void take(Checkpoint stored) throws IOException {
    for (String key : stored.names()) {
      tensors.put(key, new Tensor(stored.shape(key), stored.finiteFloats(key)));
    }
  }

  /** Passes over the tensors of a module, and says whether there were any. */
  boolean skip(String module) {
    return tensors.keySet().removeIf(key -> key.startsWith(module + "."));
  }

  /** Whether there is such a tensor that was not taken yet. */
  boolean hasAny(Predicate<String> key) {
    return tensors.keySet().stream().anyMatch(key);
  }

  /** Whether there is a tensor that was not taken yet. */
  boolean has(String key) {
    return tensors.containsKey(key);
  }

  /**
   * Takes a tensor.
   *
   * @param shape its extents, -1 where any will do
   * @throws FormatException if it is missing or has another shape
   */
  Tensor take(String key, long... shape) throws FormatException {
    Tensor tensor = tensors.remove(key);
    if (tensor == null) {
      throw new FormatException(file + " has no tensor " + key);
    }
    boolean fits = tensor.shape().length == shape.length;
    for (int i = 0; fits && i < shape.length; i++) {
      fits = shape[i] == -1 ? tensor.shape()[i] > 0 : shape[i] == tensor.shape()[i];
    }
    if (!fits) {
      throw new FormatException(
          "tensor %s of %s must have shape %s, got %s"
              .formatted(
                  key,
                  file,
                  Arrays.toString(shape).replace("-1", "r"),
                  Arrays.toString(tensor.shape())));
    }
    return tensor;
  }

  /**
   * To be called when everything is taken.
   *
   * @throws FormatException if a tensor is left
   */
  void finish() throws FormatException {
    if (!tensors.isEmpty()) {
      throw new FormatException(
          "%s has tensors that have no place in the model or that are not supported: %s"
              .formatted(file, String.join(", ", tensors.keySet().stream().limit(5).toList())));
    }
  }
}
