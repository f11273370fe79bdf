package org.prunepeft.io;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.StreamReadFeature;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.prunepeft.io.SafeTensors.StoredType;
import org.prunepeft.io.SafeTensors.TensorInfo;

/** The header of a safetensors file, as {@link SafeTensors} describes it. */
final class SafeTensorsHeader {
  private static final String METADATA = "__metadata__";
  private static final int ALIGNMENT = 8;

  private static final JsonFactory JSON =
      JsonFactory.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(3).build())
          .build();

  final Map<String, TensorInfo> entries = new LinkedHashMap<>();
  final Map<String, String> metadata = new LinkedHashMap<>();

  static SafeTensorsHeader parse(Path file, ByteBuffer bytes) throws IOException {
    if (bytes.get(0) != '{') {
      throw new FormatException(file + " is no safetensors file: its header doesn't begin with {");
    }
    String text;
    try {
      text = StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new FormatException(file + " is no safetensors file: its header is not UTF-8", e);
    }
    var header = new SafeTensorsHeader();
    try (var json = JSON.createParser(text)) {
      json.nextToken();
      while (json.nextToken() != JsonToken.END_OBJECT) {
        String name = json.currentName();
        json.nextToken();
        if (name.equals(METADATA)) {
          header.metadata(json);
        } else {
          header.entries.put(name, entry(json, name));
        }
      }
      if (json.nextToken() != null) {
        throw new FormatException("text after the end of the object");
      }
    } catch (JsonProcessingException e) {
      throw new FormatException(
          "%s has a bad header: %s (line %d, column %d)"
              .formatted(
                  file,
                  e.getOriginalMessage(),
                  e.getLocation() == null ? 1 : e.getLocation().getLineNr(),
                  e.getLocation() == null ? 1 : e.getLocation().getColumnNr()),
          e);
    } catch (FormatException e) {
      throw new FormatException("%s has a bad header: %s".formatted(file, e.getMessage()), e);
    }
    return header;
  }

  private void metadata(JsonParser json) throws IOException {
    expect(json, JsonToken.START_OBJECT, METADATA);
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String key = json.currentName();
      json.nextToken();
      expect(json, JsonToken.VALUE_STRING, METADATA);
      metadata.put(key, json.getText());
    }
  }

  private static TensorInfo entry(JsonParser json, String name) throws IOException {
    expect(json, JsonToken.START_OBJECT, name);
    StoredType dtype = null;
    long[] shape = null;
    long[] offsets = null;
    while (json.nextToken() != JsonToken.END_OBJECT) {
      String key = json.currentName();
      json.nextToken();
      switch (key) {
        case "dtype" -> dtype = dtype(json, name);
        case "shape" -> shape = numbers(json, name, key);
        case "data_offsets" -> offsets = numbers(json, name, key);
        default -> throw new FormatException("unknown member %s of %s".formatted(key, name));
      }
    }
    if (dtype == null || shape == null || offsets == null || offsets.length != 2) {
      throw new FormatException(name + " needs dtype, shape and two data_offsets");
    }
    if (offsets[1] < offsets[0]) {
      throw new FormatException(
          "%s ends before it begins: %s".formatted(name, Arrays.toString(offsets)));
    }
    long bits;
    try {
      bits = Math.multiplyExact(LongStream.of(shape).reduce(1, Math::multiplyExact), dtype.bits());
    } catch (ArithmeticException e) {
      throw new FormatException(
          "%s has an impossible shape: %s".formatted(name, Arrays.toString(shape)), e);
    }
    long bytes = offsets[1] - offsets[0];
    if (bits % Byte.SIZE != 0 || bits / Byte.SIZE != bytes) {
      throw new FormatException(
          "%s of type %s and shape %s needs %d bits, but has %d bytes"
              .formatted(name, dtype, Arrays.toString(shape), bits, bytes));
    }
    return new TensorInfo(dtype, shape, offsets[0], offsets[1]);
  }

  private static StoredType dtype(JsonParser json, String name) throws IOException {
    expect(json, JsonToken.VALUE_STRING, name);
    try {
      return StoredType.valueOf(json.getText());
    } catch (IllegalArgumentException e) {
      throw new FormatException("%s has unknown dtype %s".formatted(name, json.getText()), e);
    }
  }

  private static long[] numbers(JsonParser json, String name, String key) throws IOException {
    expect(json, JsonToken.START_ARRAY, name);
    var numbers = LongStream.builder();
    while (json.nextToken() != JsonToken.END_ARRAY) {
      expect(json, JsonToken.VALUE_NUMBER_INT, name);
      long number = json.getLongValue();
      if (number < 0) {
        throw new FormatException("negative %s of %s: %d".formatted(key, name, number));
      }
      numbers.add(number);
    }
    return numbers.build().toArray();
  }

  private static void expect(JsonParser json, JsonToken token, String name) throws IOException {
    if (json.currentToken() != token) {
      throw new FormatException(
          "in %s, expected %s at column %d, got %s"
              .formatted(
                  name, token, json.currentTokenLocation().getColumnNr(), json.currentToken()));
    }
  }

  /** Checks that the tensors fill the data section without gap or overlap. */
  void checkPlaces(Path file, long dataSize) throws FormatException {
    var placed = new ArrayList<>(entries.entrySet());
    placed.sort(
        Comparator.comparingLong((Map.Entry<String, TensorInfo> e) -> e.getValue().begin())
            .thenComparingLong(e -> e.getValue().end()));
    long expected = 0;
    for (var tensor : placed) {
      var entry = tensor.getValue();
      if (entry.begin() != expected) {
        throw new FormatException(
            "%s has a bad header: %s begins at %d, %s"
                .formatted(
                    file,
                    tensor.getKey(),
                    entry.begin(),
                    entry.begin() < expected
                        ? "before the tensor ahead of it ends, at " + expected
                        : "but the tensor ahead of it ends at " + expected));
      }
      expected = entry.end();
    }
    if (expected > dataSize) {
      throw new FormatException(
          "%s is cut off: its tensors need %d bytes, it has %d"
              .formatted(file, expected, dataSize));
    }
    if (expected < dataSize) {
      throw new FormatException(
          "%s has %d bytes behind its last tensor".formatted(file, dataSize - expected));
    }
  }

  /**
   * A header, padded so that the data begins at a multiple of 8 bytes.
   *
   * @param entries in the order of their data
   * @throws IllegalArgumentException if a tensor is named {@code __metadata__}
   */
  static byte[] of(Map<String, TensorInfo> entries, Map<String, String> metadata)
      throws IOException {
    if (entries.containsKey(METADATA)) {
      throw new IllegalArgumentException("a tensor can't be named " + METADATA);
    }
    var bytes = new ByteArrayOutputStream();
    try (var json = JSON.createGenerator(bytes)) {
      json.writeStartObject();
      if (!metadata.isEmpty()) {
        json.writeObjectFieldStart(METADATA);
        for (var member : new TreeMap<>(metadata).entrySet()) {
          json.writeStringField(member.getKey(), member.getValue());
        }
        json.writeEndObject();
      }
      for (var tensor : entries.entrySet()) {
        TensorInfo entry = tensor.getValue();
        json.writeObjectFieldStart(tensor.getKey());
        json.writeStringField("dtype", entry.dtype().name());
        json.writeFieldName("shape");
        json.writeArray(entry.shape(), 0, entry.shape().length);
        json.writeFieldName("data_offsets");
        json.writeArray(new long[] {entry.begin(), entry.end()}, 0, 2);
        json.writeEndObject();
      }
      json.writeEndObject();
    }
    while (bytes.size() % ALIGNMENT != 0) {
      bytes.write(' ');
    }
    return bytes.toByteArray();
  }
}
