package org.prunepeft.cli;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.example.data.simple.SimpleGroup;
import org.apache.parquet.hadoop.ParquetWriter;
import org.apache.parquet.hadoop.example.ExampleParquetWriter;
import org.apache.parquet.io.LocalOutputFile;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.apache.parquet.schema.Type;

/** A Parquet table of texts, lists and objects, as Hugging Face's library writes them. */
final class ParquetRows {
  static final String TEXT = "optional binary %s (STRING);";
  static final String MESSAGES =
      "optional group %s (LIST) { repeated group list { optional group element {"
          + " optional binary role (STRING); optional binary content (STRING); } } }";

  /** ShareGPT's messages. */
  static final String CONVERSATIONS =
      MESSAGES.replace(" role ", " from ").replace(" content ", " value ");

  private ParquetRows() {}

  /** Writes rows; columns are fields of a schema. */
  static void write(Path file, List<String> columns, List<JsonNode> rows) throws IOException {
    MessageType type =
        MessageTypeParser.parseMessageType("message schema { " + String.join(" ", columns) + " }");
    try (ParquetWriter<Group> writer =
        ExampleParquetWriter.builder(new LocalOutputFile(file)).withType(type).build()) {
      for (JsonNode row : rows) {
        writer.write(fill(new SimpleGroup(type), type, row));
      }
    }
  }

  private static Group fill(Group group, GroupType type, JsonNode object) {
    for (Type field : type.getFields()) {
      JsonNode value = object.path(field.getName());
      if (value.isTextual()) {
        group.add(field.getName(), value.textValue());
      } else if (value.isArray()) {
        Group list = group.addGroup(field.getName());
        GroupType element = field.asGroupType().getType(0).asGroupType().getType(0).asGroupType();
        for (JsonNode item : value) {
          fill(list.addGroup(0).addGroup(0), element, item);
        }
      }
    }
    return group;
  }
}
