package org.prunepeft.cli;

import org.prunepeft.data.Task;
import org.prunepeft.data.task.Tasks;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

@Command(
    name = "tasks",
    mixinStandardHelpOptions = true,
    description = "Lists the tasks that are known by name.")
final class TasksCommand implements Runnable {
  @Mixin private PluginOptions plugins;

  @Override
  public void run() {
    for (String name : Tasks.names()) {
      Task task = Tasks.byName(name);
      System.out.printf(
          "%s%n  %s%n  from %s; licence %s%n",
          name, task.description(), task.source(), task.licence());
    }
  }
}
