package org.prunepeft.data.chat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.data.DataException;
import org.prunepeft.io.BoundedFile;

/** The chat template and special tokens of a model's directory, as transformers keeps them. */
final class TemplateFiles {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String CONFIG = "tokenizer_config.json";

  private static final String DEFAULT = "default";
  private static final String TOOLS = "tool_use";

  /** Far more than any template has, and than any configuration with its added tokens. */
  private static final int MOST_OF_TEMPLATE = 1_000_000;

  private static final int MOST_OF_CONFIG = 10_000_000;

  private final Path model;

  TemplateFiles(Path model) {
    this.model = model;
  }

  ChatFormat format(Path other) {
    JsonNode config = json(CONFIG);
    Map<String, Source> templates =
        other == null
            ? templates(config)
            : Map.of(DEFAULT, new Source(other, read(other, MOST_OF_TEMPLATE)));
    Source tools = templates.get(TOOLS);
    return new ChatFormat(
        understood(templates.get(DEFAULT)),
        tools == null ? null : tools.text,
        specialTokens(config),
        true,
        null);
  }

  /** A template's text, and the file that it is in. */
  private record Source(Path file, String text) {}

  /** The text of a template that can be read; null: there is none. */
  private static String understood(Source template) {
    if (template == null) {
      return null;
    }
    Chat.parsed(template.file + ": the chat template", template.text);
    return template.text;
  }

  /** By name; where the default one has a file, those of the configuration are of no account. */
  private Map<String, Source> templates(JsonNode config) {
    Map<String, Source> templates = new HashMap<>();
    if (Files.exists(file(ChatFormat.FILE))) {
      put(templates, DEFAULT, file(ChatFormat.FILE));
    } else {
      templates.putAll(configured(config));
    }
    for (String name : List.of(DEFAULT, TOOLS)) {
      Path additional = file(ChatFormat.ADDITIONAL).resolve(name + ".jinja");
      if (Files.exists(additional)) {
        put(templates, name, additional);
      }
    }
    return templates;
  }

  private static void put(Map<String, Source> templates, String name, Path file) {
    templates.put(name, new Source(file, readOwn(file, MOST_OF_TEMPLATE)));
  }

  private Map<String, Source> configured(JsonNode config) {
    Map<String, Source> templates = new HashMap<>();
    JsonNode inConfig = config.path("chat_template");
    if (inConfig.isTextual()) {
      templates.put(DEFAULT, new Source(file(CONFIG), inConfig.asText()));
    }
    for (JsonNode named : inConfig) {
      if (!named.path("name").isTextual() || !named.path("template").isTextual()) {
        throw new DataException(
            "%s: each of chat_template must have a name and a template".formatted(file(CONFIG)));
      }
      templates.put(
          named.get("name").asText(), new Source(file(CONFIG), named.get("template").asText()));
    }
    return templates;
  }

  /** A token is its text, or an object that has it as content. */
  private Map<String, String> specialTokens(JsonNode config) {
    Map<String, String> tokens = new HashMap<>();
    for (JsonNode from : new JsonNode[] {json("special_tokens_map.json"), config}) {
      from.properties()
          .forEach(
              member -> {
                JsonNode value = member.getValue();
                JsonNode text = value.isObject() ? value.path("content") : value;
                if (member.getKey().endsWith("_token") && text.isTextual()) {
                  tokens.put(member.getKey(), text.asText());
                }
              });
    }
    return tokens;
  }

  private Path file(String name) {
    return model.resolve(name);
  }

  /** An object without members where there is no such file. */
  private JsonNode json(String name) {
    if (!Files.exists(file(name))) {
      return JSON.createObjectNode();
    }
    try {
      return JSON.readTree(readOwn(file(name), MOST_OF_CONFIG));
    } catch (JsonProcessingException e) {
      throw new DataException("%s is no JSON: %s".formatted(file(name), e.getOriginalMessage()), e);
    }
  }

  /** Of the model's directory, where nothing is a pipe that the user has named. */
  private static String readOwn(Path file, int most) {
    try {
      return read(BoundedFile.regular(file), most);
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
  }

  private static String read(Path file, int most) {
    try {
      return StandardCharsets.UTF_8
          .newDecoder()
          .decode(ByteBuffer.wrap(BoundedFile.read(file, most)))
          .toString();
    } catch (CharacterCodingException e) {
      throw new DataException(file + " is not UTF-8; save it as UTF-8", e);
    } catch (IOException e) {
      throw DataException.unreadable(file.toString(), e);
    }
  }
}
