/** Tasks by name, those in files, and data sets as the hub keeps them. */
package org.prunepeft.data.task;
