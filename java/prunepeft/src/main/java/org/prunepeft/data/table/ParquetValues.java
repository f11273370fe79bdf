package org.prunepeft.data.table;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import org.apache.parquet.example.data.Group;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.Type;
import org.prunepeft.io.FormatException;

/**
 * A row's texts, and its values as JSON: lists, and groups as objects. All groups of a column have
 * the same members; those that are null are left out. Texts of all rows are counted: a page may
 * have the same long one again and again, by a byte each.
 */
final class ParquetValues {
  private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

  private final UnpackedSize texts;

  /**
   * @param texts how many bytes all of them may have
   */
  ParquetValues(UnpackedSize texts) {
    this.texts = texts;
  }

  /**
   * The value of a field; a null node if it has none.
   *
   * @throws CharacterCodingException if a text is not UTF-8
   * @throws FormatException if the texts are more than the file may hold
   */
  JsonNode value(Group group, int field) throws IOException {
    Type type = group.getType().getType(field);
    int count = group.getFieldRepetitionCount(field);
    if (type.isRepetition(Type.Repetition.REPEATED)) {
      ArrayNode list = JSON.arrayNode(count);
      for (int i = 0; i < count; i++) {
        list.add(single(group, field, i));
      }
      return list;
    }
    return count == 0 ? JSON.nullNode() : single(group, field, 0);
  }

  private JsonNode single(Group group, int field, int index) throws IOException {
    Type type = group.getType().getType(field);
    if (!type.isPrimitive()) {
      Group inner = group.getGroup(field, index);
      return type.getLogicalTypeAnnotation()
              instanceof LogicalTypeAnnotation.ListLogicalTypeAnnotation
          ? list(inner)
          : object(inner);
    }
    return switch (type.asPrimitiveType().getPrimitiveTypeName()) {
      case BOOLEAN -> JSON.booleanNode(group.getBoolean(field, index));
      case INT32 -> JSON.numberNode(group.getInteger(field, index));
      case INT64 -> JSON.numberNode(group.getLong(field, index));
      case FLOAT -> JSON.numberNode(group.getFloat(field, index));
      case DOUBLE -> JSON.numberNode(group.getDouble(field, index));
      case BINARY -> JSON.textNode(text(group.getBinary(field, index).toByteBuffer()));
      default ->
          throw new IllegalArgumentException(
              "'%s' must hold texts, numbers or truth values, its type is %s"
                  .formatted(type.getName(), type));
    };
  }

  /** A list is a group with a repeated field, which is the elements or a group around each. */
  private JsonNode list(Group list) throws IOException {
    Type repeated = list.getType().getType(0);
    boolean wrapped =
        !repeated.isPrimitive()
            && repeated.asGroupType().getFieldCount() == 1
            && isWrapper(repeated, list.getType());
    if (!wrapped) {
      return value(list, 0);
    }
    ArrayNode elements = JSON.arrayNode();
    for (int i = 0; i < list.getFieldRepetitionCount(0); i++) {
      elements.add(value(list.getGroup(0, i), 0));
    }
    return elements;
  }

  /** By the format's rules for files of old: these names are those of elements themselves. */
  private static boolean isWrapper(Type repeated, GroupType list) {
    return !repeated.getName().equals("array")
        && !repeated.getName().equals(list.getName() + "_tuple");
  }

  private JsonNode object(Group group) throws IOException {
    ObjectNode object = JSON.objectNode();
    for (int i = 0; i < group.getType().getFieldCount(); i++) {
      JsonNode value = value(group, i);
      if (!value.isNull()) {
        object.set(group.getType().getFieldName(i), value);
      }
    }
    return object;
  }

  /** A text, with the same exceptions. */
  String text(ByteBuffer bytes) throws IOException {
    texts.add(bytes.remaining());
    return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
  }
}
