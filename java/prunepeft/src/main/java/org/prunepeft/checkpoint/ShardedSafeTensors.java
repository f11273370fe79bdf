package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.InvalidPathException;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors;

/**
 * Tensors in several safetensors files of one directory, with an index as Hugging Face's libraries
 * write it: <code>
 * {"metadata": {...}, "weight_map": {"name": "model-00001-of-00002.safetensors", ...}}</code>.
 *
 * <p>Can be read from several threads at once.
 */
public final class ShardedSafeTensors implements Checkpoint {
  private static final int MAX_INDEX = 100_000_000;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(8).build())
          .build();

  /** Of a file, in most file systems. */
  private static final int LONGEST_NAME = 255;

  private final Path index;
  private final Map<String, SafeTensors> shards;
  private final Map<String, String> places;

  private ShardedSafeTensors(
      Path index, Map<String, SafeTensors> shards, Map<String, String> places) {
    this.index = index;
    this.shards = shards;
    this.places = places;
  }

  /**
   * Opens all shards and checks their headers, and that index and shards name the same tensors.
   *
   * @param index model.safetensors.index.json; the shards are beside it
   * @return to be closed by the caller
   * @throws FormatException if index or a shard is not what the format allows, a shard is missing,
   *     or they disagree; names the file
   * @throws IOException if reading fails
   */
  public static ShardedSafeTensors open(Path index) throws IOException {
    Map<String, String> places = weightMap(index);
    Map<String, SafeTensors> shards = new TreeMap<>();
    var opened = new ShardedSafeTensors(index, shards, places);
    try {
      for (String shard : places.values()) {
        if (!shards.containsKey(shard)) {
          shards.put(shard, openShard(index, shard));
        }
      }
      opened.requireAgreement();
      return opened;
    } catch (Throwable e) {
      opened.close();
      throw e;
    }
  }

  /**
   * {@return the names of the shards that an index names}
   *
   * @throws FormatException if the index is not what the format allows
   */
  static Set<String> files(Path index) throws IOException {
    Set<String> names = new TreeSet<>(weightMap(index).values());
    for (String name : names) {
      shard(index, name);
    }
    return names;
  }

  private static Map<String, String> weightMap(Path index) throws IOException {
    byte[] content = BoundedFile.read(BoundedFile.regular(index), MAX_INDEX);
    Map<String, String> places = null;
    try (JsonParser json = JSON.createParser(content)) {
      if (json.nextToken() != JsonToken.START_OBJECT) {
        throw new FormatException(index + " is no index: it holds no JSON object");
      }
      while (json.nextToken() == JsonToken.FIELD_NAME) {
        String member = json.currentName();
        json.nextToken();
        if (member.equals("weight_map")) {
          places = weightMap(index, json);
        } else {
          json.skipChildren();
        }
      }
      if (json.nextToken() != null) {
        throw new FormatException(index + " is no index: text follows its JSON object");
      }
    } catch (JsonProcessingException e) {
      throw new FormatException(index + " is no index: " + e.getOriginalMessage(), e);
    } catch (CharConversionException e) {
      throw new FormatException(index + " is no index: it is not UTF-8", e);
    }
    if (places == null) {
      throw new FormatException(index + " is no index: it has no weight_map");
    }
    return places;
  }

  private static Map<String, String> weightMap(Path index, JsonParser json) throws IOException {
    if (json.currentToken() != JsonToken.START_OBJECT) {
      throw new FormatException(index + " is no index: its weight_map is no object");
    }
    Map<String, String> places = new LinkedHashMap<>();
    while (json.nextToken() == JsonToken.FIELD_NAME) {
      String name = json.currentName();
      if (json.nextToken() != JsonToken.VALUE_STRING) {
        throw new FormatException(index + " is no index: " + name + " has no file name");
      }
      places.put(name, json.getText());
    }
    return places;
  }

  private static SafeTensors openShard(Path index, String shard) throws IOException {
    Path file = shard(index, shard);
    try {
      return SafeTensors.open(file);
    } catch (NoSuchFileException e) {
      throw new FormatException("%s is missing; %s names it".formatted(file, index), e);
    }
  }

  private static Path shard(Path index, String shard) throws FormatException {
    // A name alone: an index that came from somewhere must not lead elsewhere on the disk.
    if (shard.isEmpty()
        || shard.length() > LONGEST_NAME
        || shard.indexOf('/') >= 0
        || shard.indexOf('\\') >= 0
        || shard.indexOf('\0') >= 0
        || shard.equals(".")
        || shard.equals("..")) {
      throw new FormatException(
          "%s names the shard '%s'; a shard lies beside its index"
              .formatted(index, shard.substring(0, Math.min(LONGEST_NAME, shard.length()))));
    }
    try {
      return index.resolveSibling(shard);
    } catch (InvalidPathException e) {
      throw new FormatException(
          "%s names a shard that no file here can be called: %s".formatted(index, e.getMessage()),
          e);
    }
  }

  private void requireAgreement() throws FormatException {
    for (var place : places.entrySet()) {
      if (!shards.get(place.getValue()).names().contains(place.getKey())) {
        throw new FormatException(
            "%s has no tensor %s, which %s says is there"
                .formatted(index.resolveSibling(place.getValue()), place.getKey(), index));
      }
    }
    for (var shard : shards.entrySet()) {
      for (String name : shard.getValue().names()) {
        if (!shard.getKey().equals(places.get(name))) {
          throw new FormatException(
              "%s has a tensor %s, of which %s says nothing or that it is elsewhere"
                  .formatted(index.resolveSibling(shard.getKey()), name, index));
        }
      }
    }
  }

  @Override
  public String origin() {
    return index.toString();
  }

  @Override
  public Set<String> names() {
    return Collections.unmodifiableSet(places.keySet());
  }

  @Override
  public long[] shape(String name) {
    return shard(name).shape(name);
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) throws IOException {
    shard(name).readFloats(name, first, target);
  }

  @Override
  public SafeTensors.Source source(String name) {
    return shard(name).source(name);
  }

  private SafeTensors shard(String name) {
    String shard = places.get(name);
    if (shard == null) {
      throw new NoSuchElementException(
          "%s has no tensor %s among its %d".formatted(index, name, places.size()));
    }
    return shards.get(shard);
  }

  @Override
  public void close() throws IOException {
    IOException failure = null;
    for (SafeTensors shard : shards.values()) {
      try {
        shard.close();
      } catch (IOException e) {
        failure = e;
      }
    }
    if (failure != null) {
      throw failure;
    }
  }
}
