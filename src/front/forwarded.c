#include "front/forwarded.h"

/* Proxies in a row; a longer list is not read on. */
#define HOPS_MAX 64

static bool is_token(char byte)
{
    return byte > ' ' && byte < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", byte);
}

/* --- X-Forwarded-For: addresses with commas between them --- */

/* The last element of a line, which is cut off; false when there is none left. */
static bool take_last(struct text *line, struct text *ret_element)
{
    if (!line->bytes)
        return false;
    const char *comma = line->length > 0 ? memrchr(line->bytes, ',', line->length) : NULL;
    size_t begin = comma ? (size_t)(comma - line->bytes) + 1 : 0;
    *ret_element = text_trim(text_of(line->bytes + begin, line->length - begin));
    *line = comma ? text_of(line->bytes, begin - 1) : (struct text){ 0 };
    return true;
}

/* --- Forwarded: elements of pairs --- */

static void skip_space(struct text *rest)
{
    while (rest->length > 0 && (*rest->bytes == ' ' || *rest->bytes == '\t'))
        *rest = text_of(rest->bytes + 1, rest->length - 1);
}

static bool take_byte(struct text *rest, char byte)
{
    if (rest->length == 0 || *rest->bytes != byte)
        return false;
    *rest = text_of(rest->bytes + 1, rest->length - 1);
    return true;
}

static struct text take_token(struct text *rest)
{
    size_t length = 0;
    while (length < rest->length && is_token(rest->bytes[length]))
        length++;
    struct text token = text_of(rest->bytes, length);
    *rest = text_of(rest->bytes + length, rest->length - length);
    return token;
}

/* A token or a quoted string, given without its quotes; no address has anything escaped in it. */
static bool take_value(struct text *rest, struct text *ret_value)
{
    if (!take_byte(rest, '"')) {
        *ret_value = take_token(rest);
        return ret_value->length > 0;
    }
    size_t end = 0;
    while (end < rest->length && rest->bytes[end] != '"')
        end += rest->bytes[end] == '\\' ? 2 : 1;
    if (end >= rest->length)
        return false;
    *ret_value = text_of(rest->bytes, end);
    *rest = text_of(rest->bytes + end + 1, rest->length - end - 1);
    return true;
}

/* One element: `for=192.0.2.60;proto=http`. *ret_for is without bytes where it has no `for`. */
static bool take_element(struct text *rest, struct text *ret_for)
{
    *ret_for = (struct text){ 0 };
    do {
        skip_space(rest);
        struct text name = take_token(rest);
        struct text value;
        if (name.length == 0)
            continue; /* an empty pair */
        if (!take_byte(rest, '=') || !take_value(rest, &value))
            return false;
        if (text_is_caseless(name, "for")) {
            if (ret_for->bytes)
                return false;
            *ret_for = value;
        }
        skip_space(rest);
    } while (take_byte(rest, ';'));
    return rest->length == 0 || *rest->bytes == ',';
}

/* The `for` of each element in the line's order; only the last HOPS_MAX are kept. False when it is malformed.
 */
static bool split_forwarded(struct text line, struct text ret_hops[static HOPS_MAX], size_t *ret_count)
{
    size_t count = 0;
    do {
        if (count == HOPS_MAX)
            memmove(ret_hops, ret_hops + 1, --count * sizeof(*ret_hops));
        if (!take_element(&line, &ret_hops[count++]))
            return false;
    } while (take_byte(&line, ','));
    *ret_count = count;
    return true;
}

/* --- walking --- */

struct walk {
    const struct ip_networks *trusted;
    struct ip_address client;
    size_t hops;
    bool is_over;
};

static void visit(struct walk *walk, struct text hop)
{
    struct ip_address address;
    if (walk->is_over)
        return;
    walk->is_over = true;
    if (!hop.bytes || ++walk->hops > HOPS_MAX || !ip_address_parse_with_port(hop.bytes, hop.length, &address))
        return;
    walk->client = address;
    walk->is_over = !ip_networks_have(walk->trusted, &address);
}

static bool walk_line(struct walk *walk, enum forwarded_header header, struct text line)
{
    struct text hops[HOPS_MAX];
    struct text hop;
    size_t count = 0;
    if (header == FORWARDED_FOR) {
        while (!walk->is_over && take_last(&line, &hop))
            visit(walk, hop);
        return true;
    }
    if (!split_forwarded(line, hops, &count))
        return false;
    while (count > 0)
        visit(walk, hops[--count]);
    return true;
}

bool forwarded_find_client(const struct gate_head *head, enum forwarded_header header,
                           const struct ip_networks *trusted, struct ip_address peer,
                           struct ip_address *ret_client)
{
    const char *name = header == FORWARDED_FOR ? "x-forwarded-for" : "forwarded";
    struct walk walk = { .trusted = trusted, .client = peer };
    bool is_well_formed = true;
    /* A proxy may append a line instead of an element. */
    for (size_t i = head->header_count; i > 0 && is_well_formed && !walk.is_over; i--)
        if (text_is_caseless(head->headers[i - 1].name, name))
            is_well_formed = walk_line(&walk, header, head->headers[i - 1].value);
    *ret_client = walk.client;
    return is_well_formed;
}
