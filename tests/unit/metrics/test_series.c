#include "metrics/series.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "metrics/metrics_text.h"

static void append_text(void *context, struct buffer *out)
{
    const char *name = context;
    series_append_head(out, "shop_orders", "gauge", "Orders.");
    buffer_append_text(out, "shop_orders{");
    series_append_label(out, "shop", name, strlen(name));
    buffer_append_text(out, "} 3\n");
}

static void append_json(void *context, struct buffer *out)
{
    (void)context;
    buffer_append_text(out, "[1,2]");
}

Test(series, sources_are_asked_in_their_order_until_they_leave)
{
    struct metrics *metrics = metrics_create();
    struct buffer out = { 0 };
    struct metrics_source first = { .append_text = append_text,
                                    .append_json = append_json,
                                    .json_name = "first",
                                    .context = "a\"b\\c\nd\xc3\xa9" };
    struct metrics_source second = first;
    second.json_name = "second";
    second.context = "x";
    metrics_add_source(metrics, &first);
    metrics_add_source(metrics, &second);

    metrics_append_text(metrics, "1", &out);
    static const char written[] = "# HELP shop_orders Orders.\n# TYPE shop_orders gauge\n"
                                  "shop_orders{shop=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 3\n"
                                  "# HELP shop_orders Orders.\n# TYPE shop_orders gauge\n"
                                  "shop_orders{shop=\"x\"} 3\n";
    cr_assert_not_null(memmem(out.data, out.size, written, strlen(written)));

    list_remove(&first.node);
    buffer_reset(&out);
    metrics_append_json(metrics, "1", &out);
    json_t *summary = json_loadb(out.data, out.size, 0, NULL);
    cr_assert_not_null(summary, "%.*s", (int)out.size, out.data);
    cr_assert_null(json_object_get(summary, "first"));
    cr_assert_eq(json_array_size(json_object_get(summary, "second")), 2);
    json_decref(summary);
    buffer_free(&out);
    metrics_destroy(metrics);
}
