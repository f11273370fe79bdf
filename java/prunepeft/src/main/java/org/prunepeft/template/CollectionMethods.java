package org.prunepeft.template;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Methods of lists and dicts; what would change them is refused. */
final class CollectionMethods {
  static final Map<String, Operation> OF_DICTS =
      Operation.table(
          Operation.of("get(self, key, default?)", CollectionMethods::get),
          Operation.of("items(self)", a -> items(a.at(0), a.limits())),
          Operation.of("keys(self)", a -> new ArrayList<>(dict(a).keySet())),
          Operation.of("values(self)", a -> new ArrayList<>(dict(a).values())),
          Operation.of("copy(self)", a -> new LinkedHashMap<>(dict(a))));

  static final Map<String, Operation> OF_LISTS =
      Operation.table(
          Operation.of("index(self, value)", CollectionMethods::index),
          Operation.of("count(self, value)", CollectionMethods::count),
          Operation.of("copy(self)", a -> a.elements(0)));

  static {
    for (String change : List.of("update", "pop", "popitem", "setdefault", "clear")) {
      OF_DICTS.put(change, refused(change, "dict(old, name=value) makes a new dict"));
    }
    for (String change :
        List.of("append", "extend", "insert", "remove", "pop", "sort", "reverse", "clear")) {
      OF_LISTS.put(change, refused(change, "old + [value] makes a new list"));
    }
  }

  private CollectionMethods() {}

  private static Operation refused(String change, String remedy) {
    return Operation.of(
        change + "(self, *, **)",
        a -> {
          throw new Failure("%s: a template changes no lists and dicts; %s", change, remedy);
        });
  }

  /** The dict that a method is called on, all of which it goes through. */
  private static Map<Object, Object> dict(Bound arguments) {
    Map<Object, Object> dict = ValueOperations.dict(arguments.at(0));
    arguments.limits().spendLength(dict.size());
    return dict;
  }

  static List<Object> items(Object dict, Limits limits) {
    List<Object> items = new ArrayList<>();
    ValueOperations.dict(dict).forEach((key, value) -> items.add(Tuple.of(key, value)));
    limits.spendLength(items.size());
    return items;
  }

  private static Object get(Bound arguments) {
    Map<Object, Object> dict = ValueOperations.dict(arguments.at(0));
    if (arguments.at(1) instanceof Undefined) {
      return arguments.at(2, null);
    }
    Object key = ValueOperations.key(arguments.at(1));
    return dict.containsKey(key) ? dict.get(key) : arguments.at(2, null);
  }

  private static Object index(Bound arguments) {
    List<Object> list = arguments.elements(0);
    for (int i = 0; i < list.size(); i++) {
      if (ValueOperations.equal(list.get(i), arguments.at(1), arguments.limits())) {
        return (long) i;
      }
    }
    throw new Failure("index: the list does not have this value");
  }

  private static Object count(Bound arguments) {
    return arguments.elements(0).stream()
        .filter(element -> ValueOperations.equal(element, arguments.at(1), arguments.limits()))
        .count();
  }
}
