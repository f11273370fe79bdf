package org.prunepeft.files;

import com.fasterxml.jackson.annotation.JsonSetter;
import com.fasterxml.jackson.annotation.Nulls;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.StreamWriteFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.module.SimpleModule;
import com.fasterxml.jackson.databind.ser.std.ToStringSerializer;
import com.fasterxml.jackson.datatype.jdk8.Jdk8Module;
import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.RunDirectoryException;

/** The JSON of a run's files, written and read as {@link RunDirectory} says. */
final class RunJson {
  /** Far more than any object of these files has. */
  private static final int MOST = 100_000_000;

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .addModule(new Jdk8Module())
          .addModule(new SimpleModule().addSerializer(Path.class, ToStringSerializer.instance))
          .enable(SerializationFeature.WRITE_ENUMS_USING_TO_STRING)
          .enable(DeserializationFeature.READ_ENUMS_USING_TO_STRING)
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          // Double.toString has a digit more than it needs for some numbers before Java 19, and a
          // checksum must be the same by any.
          .enable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER)
          .build();

  /** A list that has null in place of a module or a file is damaged. */
  private static final JsonMapper TYPED =
      JSON.rebuild().defaultSetterInfo(JsonSetter.Value.forContentNulls(Nulls.FAIL)).build();

  /** Records have more that looks like a property than their components. */
  private static final JsonMapper LENIENT =
      TYPED.rebuild().disable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES).build();

  private static final ObjectReader OBJECT =
      JSON.readerFor(new TypeReference<Map<String, Object>>() {});
  private static final ObjectWriter LINE = JSON.writer();
  private static final ObjectWriter PRETTY = JSON.writer(printer());
  private static final ObjectWriter EARLIER =
      JSON.rebuild().disable(StreamWriteFeature.USE_FAST_DOUBLE_WRITER).build().writer(printer());

  private RunJson() {}

  private static DefaultPrettyPrinter printer() {
    var lines = new DefaultIndenter("  ", "\n");
    return new DefaultPrettyPrinter().withObjectIndenter(lines);
  }

  /** Indented, its last line ended. */
  static String format(String name, Object value) {
    return text(PRETTY, name, value);
  }

  /** The same as earlier versions wrote it, by this Java. */
  static String formatEarlier(String name, Object value) {
    return text(EARLIER, name, value);
  }

  /** In one line, ended. */
  static String line(String name, Object value) {
    return text(LINE, name, value);
  }

  private static String text(ObjectWriter writer, String name, Object value) {
    try {
      return writer.writeValueAsString(value) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          "no JSON for %s: %s".formatted(name, e.getOriginalMessage()), e);
    }
  }

  static Map<String, Object> reread(String name, Object value) {
    try {
      return OBJECT.readValue(format(name, value));
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(e.getOriginalMessage(), e);
    }
  }

  static <T> T convert(Object value, Class<T> type) {
    return LENIENT.convertValue(value, type);
  }

  static Map<String, Object> parse(Path file) {
    Map<String, Object> object = read(file, OBJECT);
    if (object == null) {
      throw new DamagedRunException(file + ", line 1, column 1: expected an object, got null");
    }
    return object;
  }

  static <T> List<T> array(Path file, Class<T> type) {
    List<T> values = read(file, LENIENT.readerForListOf(type));
    if (values == null) {
      throw new DamagedRunException(file + ", line 1, column 1: expected a list, got null");
    }
    return values;
  }

  private static <T> T read(Path file, ObjectReader reader) {
    byte[] content = content(file);
    try {
      return reader.readValue(content);
    } catch (JsonProcessingException e) {
      var location = e.getLocation();
      throw new DamagedRunException(
          "%s, line %d, column %d: %s"
              .formatted(
                  file,
                  location == null ? 1 : location.getLineNr(),
                  location == null ? 1 : location.getColumnNr(),
                  e.getOriginalMessage()),
          e);
    } catch (IOException e) {
      // Bytes that are no text.
      throw new DamagedRunException("%s: %s".formatted(file, e.getMessage()), e);
    }
  }

  private static byte[] content(Path file) {
    try {
      return BoundedFile.read(BoundedFile.regular(file), MOST);
    } catch (FormatException e) {
      throw new DamagedRunException(e.getMessage(), e);
    } catch (IOException e) {
      throw RunErrors.unread(file, e);
    }
  }

  static <T> List<T> lines(Path file, Class<T> type) {
    List<T> values = new ArrayList<>();
    try (BufferedReader lines = Files.newBufferedReader(BoundedFile.regular(file))) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        T value = LENIENT.readValue(line, type);
        if (value == null) {
          throw new DamagedRunException(
              "%s, line %d: expected an object, got null".formatted(file, values.size() + 1));
        }
        values.add(value);
      }
    } catch (JsonProcessingException e) {
      throw new DamagedRunException(
          "%s, line %d: %s".formatted(file, values.size() + 1, e.getOriginalMessage()), e);
    } catch (FormatException e) {
      throw new DamagedRunException(e.getMessage(), e);
    } catch (IOException e) {
      throw RunErrors.unread(file, e);
    }
    return values;
  }

  /**
   * @param object what the file has
   */
  static <T> T member(Path file, Map<String, Object> object, String member, Class<T> type) {
    Object value = object.get(member);
    if (value == null) {
      throw new RunDirectoryException("%s has no member '%s'".formatted(file, member));
    }
    try {
      return TYPED.convertValue(value, type);
    } catch (IllegalArgumentException e) {
      String reason =
          e.getCause() instanceof JsonProcessingException json
              ? json.getOriginalMessage()
              : e.getMessage();
      throw new RunDirectoryException("%s, %s: %s".formatted(file, member, reason), e);
    }
  }
}
