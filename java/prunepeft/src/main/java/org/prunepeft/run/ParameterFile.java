package org.prunepeft.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.torch.Torch;

/** Weights of a run as a safetensors file: float32, each tensor by its name. */
public final class ParameterFile {
  private ParameterFile() {}

  /**
   * Writes all tensors of some parameters.
   *
   * @throws UncheckedIOException if writing fails; the older file is then as it was
   */
  static void write(Path file, Collection<FlatParameters> groups) {
    Map<String, SafeTensors.Tensor> tensors = new LinkedHashMap<>();
    for (FlatParameters group : groups) {
      for (String name : group.names()) {
        tensors.put(
            name, new SafeTensors.Tensor(group.shape(name), Torch.toFloats(group.get(name))));
      }
    }
    try {
      SafeTensors.write(file, tensors);
    } catch (IOException e) {
      throw new UncheckedIOException("cannot write " + file + ": " + e.getMessage(), e);
    }
  }

  /**
   * Reads exactly the tensors that the parameters have.
   *
   * @throws RunDirectoryException if the file has others, or of other shapes, or a number that is
   *     not finite
   * @throws UncheckedIOException if it can't be read or is no safetensors file
   */
  public static void read(Path file, Collection<FlatParameters> groups) {
    Map<String, FlatParameters> owners = new LinkedHashMap<>();
    for (FlatParameters group : groups) {
      group.names().forEach(name -> owners.put(name, group));
    }
    try (SafeTensors tensors = SafeTensors.open(file)) {
      if (!tensors.names().equals(owners.keySet())) {
        throw new RunDirectoryException(
            "%s does not fit the configuration: tensors that only one of them has are %s"
                .formatted(file, difference(tensors.names(), owners.keySet())));
      }
      for (Map.Entry<String, FlatParameters> entry : owners.entrySet()) {
        String name = entry.getKey();
        long[] shape = tensors.entry(name).shape();
        if (!Arrays.equals(shape, entry.getValue().shape(name))) {
          throw new RunDirectoryException(
              "%s: tensor %s must have shape %s, got %s"
                  .formatted(
                      file,
                      name,
                      Arrays.toString(entry.getValue().shape(name)),
                      Arrays.toString(shape)));
        }
        entry.getValue().put(name, tensors.finiteFloats(name));
      }
    } catch (IOException e) {
      throw new UncheckedIOException("can't read %s: %s".formatted(file, e.getMessage()), e);
    }
  }

  private static Set<String> difference(Set<String> a, Set<String> b) {
    Set<String> difference = new TreeSet<>(a);
    difference.addAll(b);
    difference.removeIf(name -> a.contains(name) && b.contains(name));
    return difference;
  }
}
