/* Runs a fuzz target over its seeds as an ordinary test, where there is no libFuzzer. CORPUS is their folder.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>

#include "base/buffer.h"
#include "fuzz.h"

static void read_seed(const char *name, struct buffer *out)
{
    char path[512], bytes[4096];
    size_t got;
    cr_assert_lt((size_t)snprintf(path, sizeof(path), "%s/%s", CORPUS, name), sizeof(path));
    FILE *file = fopen(path, "rb");
    cr_assert_not_null(file, "%s", path);
    while ((got = fread(bytes, 1, sizeof(bytes), file)) > 0)
        buffer_append(out, bytes, got);
    cr_assert_not(ferror(file) || out->failed, "%s", path);
    fclose(file);
}

Test(replay, seeds)
{
    struct dirent **names;
    int count = scandir(CORPUS, &names, NULL, alphasort);
    unsigned seeds = 0;
    cr_assert_gt(count, 0, "no seeds in %s", CORPUS);
    for (int i = 0; i < count; i++) {
        struct buffer seed = { 0 };
        if (names[i]->d_name[0] != '.') {
            read_seed(names[i]->d_name, &seed);
            fprintf(stderr, "%s\n", names[i]->d_name); /* the last one is the one that failed */
            cr_assert_eq(LLVMFuzzerTestOneInput((const uint8_t *)(seed.data ? seed.data : ""), seed.size), 0);
            seeds++;
        }
        buffer_free(&seed);
        free(names[i]);
    }
    free(names);
    cr_assert_gt(seeds, 0u, "no seeds in %s", CORPUS);
}
