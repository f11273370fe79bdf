package org.prunepeft.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.CharConversionException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Collections;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.prunepeft.io.Checkpoint;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.QuantizedTensor;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.io.SafeTensors.Source;
import org.prunepeft.io.SafeTensors.StoredType;

/**
 * A checkpoint whose linears bitsandbytes has quantised, as float numbers.
 *
 * <table>
 *   <caption>Tensors beside that of a name, of n values</caption>
 *   <tr><th>name</th><th>content</th></tr>
 *   <tr><td>NAME</td><td>NF4: (n+1)/2 bytes, two values a byte, the first one in the upper half: uint8
 *       [(n+1)/2, 1], or elements of bnb_4bit_quant_storage, bfloat16 [n/4, 1];
 *       int8: [out, in]</td></tr>
 *   <tr><td>NAME.quant_state.bitsandbytes__nf4</td><td>JSON: shape, blocksize (64), dtype, and where
 *       scales are quantised nested_blocksize (256) and nested_offset</td></tr>
 *   <tr><td>NAME.quant_map</td><td>float32 [16], what a value means</td></tr>
 *   <tr><td>NAME.absmax</td><td>the scale of each block: float32, or uint8 where they are quantised</td></tr>
 *   <tr><td>NAME.nested_quant_map, NAME.nested_absmax</td><td>float32 [256] and of each block of
 *       scales: a scale is map[absmax] · nested_absmax + nested_offset</td></tr>
 *   <tr><td>int8: SCB in place of weight at the end of NAME</td><td>float32 [out]: a value is
 *       q · (SCB / 127)</td></tr>
 * </table>
 *
 * <p>Can be read from several threads at once.
 */
final class BitsAndBytes implements Checkpoint {
  private static final String STATE = ".quant_state.bitsandbytes__";
  private static final String NF4 = STATE + "nf4";
  private static final String WEIGHT = "weight";
  private static final String ROW_SCALES = "SCB";
  private static final int LARGEST_STATE = 1 << 16;
  private static final ObjectMapper JSON = new ObjectMapper();

  private final Checkpoint stored;
  private final Map<String, Quantized> quantized = new TreeMap<>();
  private final Set<String> names;

  private interface Quantized extends QuantizedTensor {
    /** What it was before. */
    StoredType dtype();
  }

  private BitsAndBytes(Checkpoint stored) throws IOException {
    this.stored = stored;
    TreeSet<String> own = new TreeSet<>(stored.names());
    for (String name : stored.names()) {
      if (name.endsWith(NF4)) {
        String tensor = name.substring(0, name.length() - NF4.length());
        quantized.put(tensor, new FourBits(tensor));
        // All that begin with the name and a dot: a slash is the next character.
        own.subSet(tensor + ".", tensor + "/").clear();
      } else if (name.contains(STATE)) {
        throw bad(name, "is of a type that is not read; NF4 and int8 are");
      } else if (name.endsWith("." + ROW_SCALES)) {
        String linear = name.substring(0, name.length() - ROW_SCALES.length());
        quantized.put(linear + WEIGHT, new EightBits(linear + WEIGHT, name));
        own.remove(name);
        own.remove(linear + "weight_format");
      }
    }
    names = Collections.unmodifiableSet(own);
  }

  /**
   * {@return a checkpoint as float numbers; itself if nothing in it is quantised in this way}
   *
   * @param stored is closed with the result
   * @throws FormatException if what is said of a tensor does not fit it
   */
  static Checkpoint of(Checkpoint stored) throws IOException {
    boolean any =
        stored.names().stream()
            .anyMatch(name -> name.contains(STATE) || name.endsWith("." + ROW_SCALES));
    return any ? new BitsAndBytes(stored) : stored;
  }

  private FormatException bad(String name, String what) {
    return new FormatException("tensor %s of %s %s".formatted(name, stored.origin(), what));
  }

  private Source present(String name) throws FormatException {
    if (!stored.names().contains(name)) {
      throw bad(name, "is missing");
    }
    return stored.source(name);
  }

  private static long count(Source source) {
    return LongStream.of(source.shape()).reduce(1, Math::multiplyExact);
  }

  /** Checks that a tensor is there with so many bytes, whatever they are said to be. */
  private Source requireBytes(String name, long bytes) throws FormatException {
    Source source = present(name);
    long actual = count(source) * source.dtype().bits() / Byte.SIZE;
    if (actual != bytes) {
      throw bad(
          name,
          "must have %d bytes, got %d: %s with shape %s"
              .formatted(bytes, actual, source.dtype(), Arrays.toString(source.shape())));
    }
    return source;
  }

  /** Checks that a tensor is there in a type and with so many values. */
  private Source require(String name, StoredType dtype, long count) throws FormatException {
    Source source = present(name);
    long actual = count(source);
    if (source.dtype() != dtype || actual != count) {
      throw bad(
          name,
          "must be %s with %d values, got %s with shape %s"
              .formatted(dtype, count, source.dtype(), Arrays.toString(source.shape())));
    }
    return source;
  }

  private static byte[] bytes(Source source, long first, int count) throws IOException {
    byte[] bytes = new byte[count];
    source.read(first, ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    return bytes;
  }

  private static float[] floats(Source source, long first, int count) throws IOException {
    float[] floats = new float[count];
    ByteBuffer.wrap(bytes(source, first * Float.BYTES, count * Float.BYTES))
        .order(ByteOrder.LITTLE_ENDIAN)
        .asFloatBuffer()
        .get(floats);
    return floats;
  }

  /** NF4. */
  private final class FourBits implements Quantized {
    private final long[] shape;
    private final StoredType dtype;
    private final int block;
    private final Source packed;
    private final Source scales;
    private final float[] meanings;

    /** Of quantised scales; null: they are not. */
    private final Source nestedScales;

    private float[] nestedMeanings;
    private int nestedBlock;
    private float offset;

    FourBits(String name) throws IOException {
      JsonNode state = state(name + NF4);
      shape = shape(name, state.path("shape"));
      dtype =
          switch (state.path("dtype").asText()) {
            case "float16" -> StoredType.F16;
            case "bfloat16" -> StoredType.BF16;
            default -> StoredType.F32;
          };
      long count = LongStream.of(shape).reduce(1, Math::multiplyExact);
      block = block(name, state.path("blocksize"));
      packed = requireBytes(name, (count + 1) / 2);
      meanings = floats(require(name + ".quant_map", StoredType.F32, 16), 0, 16);
      long blocks = (count + block - 1) / block;
      boolean nested = state.has("nested_blocksize");
      scales = require(name + ".absmax", nested ? StoredType.U8 : StoredType.F32, blocks);
      nestedScales = nested ? nested(name, state, blocks) : null;
    }

    private Source nested(String name, JsonNode state, long blocks) throws IOException {
      nestedBlock = block(name, state.path("nested_blocksize"));
      offset = (float) state.path("nested_offset").asDouble();
      nestedMeanings = floats(require(name + ".nested_quant_map", StoredType.F32, 256), 0, 256);
      return require(
          name + ".nested_absmax", StoredType.F32, (blocks + nestedBlock - 1) / nestedBlock);
    }

    private JsonNode state(String name) throws IOException {
      Source source = stored.source(name);
      long length = LongStream.of(source.shape()).reduce(1, Math::multiplyExact);
      if (source.dtype() != StoredType.U8 || length > LARGEST_STATE) {
        throw bad(name, "is no JSON in bytes");
      }
      try {
        return JSON.readTree(bytes(source, 0, (int) length));
      } catch (JsonProcessingException e) {
        throw bad(name, "is no JSON: " + e.getOriginalMessage());
      } catch (CharConversionException e) {
        throw bad(name, "is no JSON: it is not UTF-8");
      }
    }

    private long[] shape(String name, JsonNode sizes) throws FormatException {
      long[] shape = new long[sizes.size()];
      for (int i = 0; i < shape.length; i++) {
        shape[i] = sizes.path(i).asLong(-1);
      }
      if (shape.length != 2
          || shape[0] < 1
          || shape[1] < 1
          || shape[0] > Long.MAX_VALUE / shape[1]) {
        throw bad(name, "must have a shape of two sizes, got " + sizes);
      }
      return shape;
    }

    private int block(String name, JsonNode size) throws FormatException {
      int block = size.asInt();
      if (block < 1 || block > 1 << 20) {
        throw bad(name, "must have blocks of 1 to 1048576 values, got " + size);
      }
      return block;
    }

    @Override
    public long[] shape() {
      return shape;
    }

    @Override
    public StoredType dtype() {
      return dtype;
    }

    @Override
    public Form form() {
      return Form.NF4;
    }

    @Override
    public int block() {
      return block;
    }

    @Override
    public float[] meanings() {
      return meanings;
    }

    @Override
    public void readCodes(long first, ByteBuffer target) throws IOException {
      packed.read(first, target);
    }

    @Override
    public float[] scales(long first, int count) throws IOException {
      if (nestedScales == null) {
        return floats(scales, first, count);
      }
      byte[] codes = bytes(scales, first, count);
      long firstBlock = first / nestedBlock;
      int blocks = (int) ((first + count - 1) / nestedBlock - firstBlock + 1);
      float[] factors = floats(nestedScales, firstBlock, blocks);
      float[] values = new float[count];
      for (int i = 0; i < count; i++) {
        int of = (int) ((first + i) / nestedBlock - firstBlock);
        values[i] = nestedMeanings[codes[i] & 0xff] * factors[of] + offset;
      }
      return values;
    }
  }

  /** int8 by rows. */
  private final class EightBits implements Quantized {
    private final long[] shape;
    private final Source codes;
    private final Source scales;

    EightBits(String name, String scalesName) throws FormatException {
      if (!stored.names().contains(name)) {
        throw bad(name, "is missing, of which there is " + scalesName);
      }
      shape = stored.shape(name);
      if (shape.length != 2) {
        throw bad(name, "must have two sizes, got " + Arrays.toString(shape));
      }
      codes = require(name, StoredType.I8, shape[0] * shape[1]);
      scales = require(scalesName, StoredType.F32, shape[0]);
    }

    @Override
    public long[] shape() {
      return shape;
    }

    @Override
    public StoredType dtype() {
      return StoredType.F16; // the only type that bitsandbytes makes int8 of
    }

    @Override
    public Form form() {
      return Form.INT8;
    }

    @Override
    public int block() {
      return Math.toIntExact(shape[1]);
    }

    @Override
    public float[] meanings() {
      return new float[0];
    }

    @Override
    public void readCodes(long first, ByteBuffer target) throws IOException {
      codes.read(first, target);
    }

    @Override
    public float[] scales(long first, int count) throws IOException {
      float[] factors = floats(scales, first, count);
      for (int i = 0; i < count; i++) {
        factors[i] /= 127;
      }
      return factors;
    }
  }

  @Override
  public String origin() {
    return stored.origin();
  }

  @Override
  public Set<String> names() {
    return names;
  }

  @Override
  public long[] shape(String name) {
    Quantized own = quantized.get(name);
    return own == null ? stored.shape(name) : own.shape().clone();
  }

  @Override
  public void readFloats(String name, long first, ByteBuffer target) throws IOException {
    Quantized own = quantized.get(name);
    if (own == null) {
      stored.readFloats(name, first, target);
      return;
    }
    long total = LongStream.of(own.shape()).reduce(1, Math::multiplyExact);
    int count = target.remaining() / Float.BYTES;
    if (first < 0 || first > total - count) {
      throw new IndexOutOfBoundsException(
          "%s has %d values, can't read %d from %d on".formatted(name, total, count, first));
    }
    if (count > 0) {
      target.asFloatBuffer().put(own.values(first, count));
    }
    target.position(target.limit());
  }

  @Override
  public Optional<QuantizedTensor> quantized(String name) {
    return Optional.ofNullable(quantized.get(name));
  }

  /** In the type that it was quantised from. */
  @Override
  public Source source(String name) {
    Quantized own = quantized.get(name);
    return own == null ? stored.source(name) : SafeTensors.rounded(this, name, own.dtype());
  }

  @Override
  public void close() throws IOException {
    stored.close();
  }
}
