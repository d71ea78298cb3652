// libfaketime, where Debian puts it.

import { existsSync, readdirSync } from 'node:fs';

const FOLDER = readdirSync('/usr/lib').find((name) => existsSync(`/usr/lib/${name}/faketime/libfaketime.so.1`));

/** To be preloaded; undefined when it is not installed. */
export const FAKETIME = FOLDER && `/usr/lib/${FOLDER}/faketime/libfaketime.so.1`;
