#include "header_lines.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX (256 << 20)

struct header_lines {
    char *bytes;
    struct text *lines;
    size_t count;
};

/* The whole file; NULL bytes when it cannot be had. */
static struct text read_file(const char *path)
{
    struct stat about;
    FILE *file = fopen(path, "re");
    char *bytes = NULL;
    size_t length = 0;
    if (file && fstat(fileno(file), &about) == 0 && about.st_size > 0 && about.st_size <= FILE_BYTES_MAX)
        bytes = malloc((size_t)about.st_size);
    if (bytes)
        length = fread(bytes, 1, (size_t)about.st_size, file);
    if (file)
        fclose(file);
    return text_of(bytes, length);
}

static size_t count_lines(struct text text)
{
    size_t count = 0;
    for (size_t at = 0; at < text.length; at++)
        count += text.bytes[at] == '\n';
    return count;
}

struct header_lines *header_lines_read(const char *path)
{
    struct text rest = read_file(path);
    size_t count = count_lines(rest);
    struct header_lines *lines = calloc(1, sizeof *lines);
    struct text *list = count ? calloc(count, sizeof *list) : NULL;
    if (!lines || !list) {
        free((char *)rest.bytes);
        free(list);
        free(lines);
        if (errno == 0)
            errno = EINVAL;
        return NULL;
    }
    *lines = (struct header_lines){ .bytes = (char *)rest.bytes, .lines = list, .count = count };
    for (size_t i = 0; i < count; i++)
        text_split(&rest, '\n', &list[i]);
    return lines;
}

void header_lines_destroy(struct header_lines *lines)
{
    if (!lines)
        return;
    free(lines->bytes);
    free(lines->lines);
    free(lines);
}

struct text header_lines_of(const struct header_lines *lines, size_t client)
{
    return lines->lines[client % lines->count];
}
