package org.prunepeft.io;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.AnnotatedElementContext;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.io.TempDirFactory;
import org.prunepeft.testing.Directories;
import org.prunepeft.testing.TestSeed;

/**
 * Valid files and damaged ones, against a second, plain reading of the format's description. A
 * hostile file may neither be read wrongly nor make the reader allocate what it claims. How many
 * inputs: the property {@code prunepeft.fuzz.inputs}.
 */
class SafeTensorsFuzzTest {
  private static final int FEW = 5000;

  /** What opening may allocate: classes, parser and messages, and in proportion to the file. */
  private static final long ALLOCATION = 1_000_000;

  private static final long ALLOCATION_PER_BYTE = 60;

  /** What a plain reading finds of a tensor. */
  private record Found(String dtype, List<Long> shape, int begin, int end) {}

  @TempDir(factory = Memory.class)
  Path directory;

  static final class Memory implements TempDirFactory {
    @Override
    public Path createTempDirectory(
        AnnotatedElementContext elementContext, ExtensionContext extensionContext)
        throws IOException {
      return Directories.temporary();
    }
  }

  @Test
  void everyFileIsReadRightOrRefused() throws IOException {
    int inputs = Integer.getInteger("prunepeft.fuzz.inputs", TestSeed.iterations(FEW));
    long start = System.nanoTime();
    Path file = directory.resolve("x.safetensors");
    Mutator mutator = new Mutator(TestSeed.random());
    int valid = 0;
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      for (int i = 0; i < inputs; i++) {
        byte[] bytes = mutator.next();
        // In place: many file systems write to the disk when a file is emptied and filled anew.
        channel.write(ByteBuffer.wrap(bytes), 0);
        channel.truncate(bytes.length);
        try {
          valid += check(file, bytes) ? 1 : 0;
        } catch (RuntimeException | AssertionError e) {
          throw new AssertionError(
              "input %d, in Base64: %s".formatted(i, Base64.getEncoder().encodeToString(bytes)), e);
        }
      }
    }
    int found = valid;
    assertTrue(found > inputs / 20 && found < inputs - inputs / 20, () -> "valid inputs: " + found);
    if (System.getProperty("prunepeft.fuzz.inputs") != null) {
      System.out.printf(
          "safetensors: %,d inputs in %.0f s: %,d read, %,d refused, no failure%n",
          inputs, (System.nanoTime() - start) / 1e9, valid, inputs - valid);
    }
  }

  /** Whether the file is valid. */
  private static boolean check(Path file, byte[] bytes) throws IOException {
    Map<String, Found> expected = read(bytes);
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    long before = threads.getThreadAllocatedBytes(Thread.currentThread().getId());
    long limit = ALLOCATION + ALLOCATION_PER_BYTE * bytes.length;
    try (SafeTensors tensors = SafeTensors.open(file)) {
      requireAtMost(limit, threads, before);
      if (expected == null) {
        fail("an invalid file was read");
      }
      assertEquals(expected.keySet(), tensors.names());
      for (var tensor : expected.entrySet()) {
        Found found = tensor.getValue();
        SafeTensors.TensorInfo entry = tensors.entry(tensor.getKey());
        assertEquals(found.dtype, entry.dtype().name());
        assertEquals(found.shape, Arrays.stream(entry.shape()).boxed().toList());
        assertArrayEquals(
            Arrays.copyOfRange(bytes, found.begin, found.end), tensors.bytes(tensor.getKey()));
      }
      return true;
    } catch (FormatException e) {
      requireAtMost(limit, threads, before);
      assertEquals(null, expected, () -> "a valid file was refused: " + e.getMessage());
      assertTrue(e.getMessage().startsWith(file + " "), e.getMessage());
      return false;
    }
  }

  private static void requireAtMost(long limit, ThreadMXBean threads, long before) {
    long allocated = threads.getThreadAllocatedBytes(Thread.currentThread().getId()) - before;
    assertTrue(allocated <= limit, () -> "allocated " + allocated + " bytes, limit " + limit);
  }

  private static final Map<String, Integer> BITS =
      Map.ofEntries(
          Map.entry("BOOL", 8),
          Map.entry("U8", 8),
          Map.entry("I8", 8),
          Map.entry("F8_E5M2", 8),
          Map.entry("F8_E4M3", 8),
          Map.entry("F8_E8M0", 8),
          Map.entry("F8_E4M3FNUZ", 8),
          Map.entry("F8_E5M2FNUZ", 8),
          Map.entry("F4", 4),
          Map.entry("F6_E2M3", 6),
          Map.entry("F6_E3M2", 6),
          Map.entry("I16", 16),
          Map.entry("U16", 16),
          Map.entry("F16", 16),
          Map.entry("BF16", 16),
          Map.entry("I32", 32),
          Map.entry("U32", 32),
          Map.entry("F32", 32),
          Map.entry("C64", 64),
          Map.entry("F64", 64),
          Map.entry("I64", 64),
          Map.entry("U64", 64));

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  /** The tensors of a valid file, or null; each byte of the data is owned once. */
  private static Map<String, Found> read(byte[] file) {
    if (file.length < 8) {
      return null;
    }
    long length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if (length < 0 || length > file.length - 8 || length == 0 || file[8] != '{') {
      return null;
    }
    JsonNode header;
    try {
      ByteBuffer text = ByteBuffer.wrap(file, 8, (int) length);
      header = JSON.readTree(StandardCharsets.UTF_8.newDecoder().decode(text).toString());
    } catch (CharacterCodingException | JsonProcessingException e) {
      return null;
    }
    int start = 8 + (int) length;
    int[] owners = new int[file.length - start];
    Map<String, Found> tensors = new TreeMap<>();
    List<Found> empty = new ArrayList<>();
    for (var member : header.properties()) {
      JsonNode value = member.getValue();
      if (!value.isObject()) {
        return null;
      }
      if (member.getKey().equals("__metadata__")) {
        for (JsonNode text : value) {
          if (!text.isTextual()) {
            return null;
          }
        }
        continue;
      }
      Found found = tensor(value, start, file.length);
      if (found == null) {
        return null;
      }
      tensors.put(member.getKey(), found);
      for (int i = found.begin; i < found.end; i++) {
        owners[i - start]++;
      }
      if (found.begin == found.end) {
        empty.add(found);
      }
    }
    for (int owner : owners) {
      if (owner != 1) {
        return null;
      }
    }
    // A tensor without values lies between two others, not within one.
    for (Found nothing : empty) {
      for (Found other : tensors.values()) {
        if (other.begin < nothing.begin && nothing.begin < other.end) {
          return null;
        }
      }
    }
    return tensors;
  }

  private static Found tensor(JsonNode value, int start, int fileLength) {
    List<String> members = new ArrayList<>();
    value.fieldNames().forEachRemaining(members::add);
    Collections.sort(members);
    if (!members.equals(List.of("data_offsets", "dtype", "shape"))) {
      return null;
    }
    Integer bits = BITS.get(value.get("dtype").asText());
    List<BigInteger> shape = numbers(value.get("shape"));
    List<BigInteger> offsets = numbers(value.get("data_offsets"));
    if (bits == null || shape == null || offsets == null || offsets.size() != 2) {
      return null;
    }
    BigInteger count = BigInteger.ONE;
    for (BigInteger size : shape) {
      count = count.multiply(size);
      if (count.bitLength() > 63) {
        return null;
      }
    }
    BigInteger total = count.multiply(BigInteger.valueOf(bits));
    BigInteger bytes = offsets.get(1).subtract(offsets.get(0));
    if (!total.equals(bytes.multiply(BigInteger.valueOf(8)))
        || offsets.get(1).compareTo(BigInteger.valueOf(fileLength - start)) > 0) {
      return null;
    }
    return new Found(
        value.get("dtype").textValue(),
        shape.stream().map(BigInteger::longValueExact).toList(),
        start + offsets.get(0).intValueExact(),
        start + offsets.get(1).intValueExact());
  }

  /** Integers of 0 to 2⁶³ − 1. */
  private static List<BigInteger> numbers(JsonNode array) {
    if (!array.isArray()) {
      return null;
    }
    List<BigInteger> numbers = new ArrayList<>();
    for (JsonNode number : array) {
      if (!number.isIntegralNumber()
          || number.bigIntegerValue().signum() < 0
          || number.bigIntegerValue().bitLength() > 63) {
        return null;
      }
      numbers.add(number.bigIntegerValue());
    }
    return numbers;
  }

  /** Draws files. */
  private static final class Mutator {
    private static final List<String> DTYPES = List.copyOf(new TreeMap<>(BITS).keySet());
    private static final Pattern NUMBER = Pattern.compile("\\d+");
    private static final Pattern TYPE = Pattern.compile("\"(B?[FIUC]+\\d+\\w*|BOOL)\"");
    private static final String CHARACTERS = "{}[]\",:0123456789-+eEFBIx.\\u \0\n\u00ff";
    private static final List<String> NUMBERS =
        List.of(
            "-1",
            "-0",
            "0",
            "1",
            "1.0",
            "1e3",
            "00",
            "2147483648",
            "4294967296",
            "4611686018427387904",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "340282366920938463463374607431768211456",
            "null",
            "\"1\"",
            "[1]",
            "true");

    private final Random random;

    Mutator(Random random) {
      this.random = random;
    }

    byte[] next() {
      byte[] data = new byte[random.nextInt(60)];
      random.nextBytes(data);
      String header = header(data.length);
      for (int edits = Math.max(0, random.nextInt(5) - 1); edits > 0; edits--) {
        header = edited(header.isEmpty() ? "{" : header);
      }
      byte[] text = header.getBytes(StandardCharsets.UTF_8);
      if (text.length > 0 && random.nextInt(20) == 0) {
        text[random.nextInt(text.length)] = (byte) random.nextInt(256);
      }
      long length =
          switch (random.nextInt(40)) {
            case 0 -> random.nextLong();
            case 1 -> random.nextInt(2 * text.length + 1);
            case 2 -> text.length + (long) data.length + random.nextInt(3) - 1;
            case 3 -> List.of(0L, 1L, 100_000_000L, 1L << 31, 1L << 32, -1L).get(random.nextInt(6));
            default -> text.length;
          };
      byte[] file =
          ByteBuffer.allocate(8 + text.length + data.length)
              .order(ByteOrder.LITTLE_ENDIAN)
              .putLong(length)
              .put(text)
              .put(data)
              .array();
      return switch (random.nextInt(40)) {
        case 0 -> Arrays.copyOf(file, random.nextInt(file.length));
        case 1 -> Arrays.copyOf(file, file.length + 1 + random.nextInt(9));
        default -> file;
      };
    }

    /** A valid header for so many bytes of data. */
    private String header(int size) {
      List<String> members = new ArrayList<>();
      int begin = 0;
      while (begin < size || random.nextInt(8) == 0) {
        String dtype = DTYPES.get(random.nextInt(DTYPES.size()));
        int bits = BITS.get(dtype);
        int most = (size - begin) * 8 / bits;
        int count = random.nextInt(most + 1);
        if (bits < 8) {
          count -= count * bits % 8 == 0 ? 0 : count % 4;
        } else if (most == 0) {
          dtype = "U8";
          bits = 8;
          count = random.nextInt(size - begin + 1);
        }
        int end = begin + count * bits / 8;
        members.add(
            "\"%s%d\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%d,%d]}"
                .formatted(
                    random.nextInt(8) == 0 ? "\\u00e9é\\\"" : "layer.",
                    members.size(),
                    dtype,
                    shape(count),
                    begin,
                    end));
        begin = end;
      }
      if (random.nextBoolean()) {
        members.add("\"__metadata__\":{\"format\":\"pt\"}");
      }
      Collections.shuffle(members, random);
      return "{" + String.join(",", members) + "}" + " ".repeat(random.nextInt(8));
    }

    private String shape(int count) {
      if (count == 1 && random.nextBoolean()) {
        return "[]";
      }
      int factor = 1 + random.nextInt(4);
      return count % factor == 0 ? "[%d, %d]".formatted(factor, count / factor) : "[" + count + "]";
    }

    private String edited(String header) {
      int from = random.nextInt(header.length());
      int to = Math.min(header.length(), from + 1 + random.nextInt(30));
      return switch (random.nextInt(9)) {
        case 0, 1 -> replaced(header, NUMBER, NUMBERS.get(random.nextInt(NUMBERS.size())));
        case 2 -> replaced(header, TYPE, "\"" + DTYPES.get(random.nextInt(DTYPES.size())) + "\"");
        case 3 -> replaced(header, TYPE, random.nextBoolean() ? "\"F33\"" : "1");
        case 4 -> header.substring(0, from) + header.substring(Math.min(from + 1, header.length()));
        case 5 -> header.substring(0, from) + header.substring(to);
        case 6 -> header.substring(0, to) + header.substring(from);
        case 7 ->
            header.substring(0, from)
                + (random.nextBoolean() ? "[" : "{\"a\":").repeat(random.nextInt(300))
                + header.substring(from);
        default ->
            header.substring(0, from)
                + CHARACTERS.charAt(random.nextInt(CHARACTERS.length()))
                + header.substring(Math.min(from + 1, header.length()));
      };
    }

    /** With one of the pattern's finds replaced. */
    private String replaced(String header, Pattern pattern, String replacement) {
      List<int[]> finds = new ArrayList<>();
      Matcher matcher = pattern.matcher(header);
      while (matcher.find()) {
        finds.add(new int[] {matcher.start(), matcher.end()});
      }
      if (finds.isEmpty()) {
        return header;
      }
      int[] find = finds.get(random.nextInt(finds.size()));
      return header.substring(0, find[0]) + replacement + header.substring(find[1]);
    }
  }
}
