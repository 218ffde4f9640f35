# Writes the workbooks that test/unit/xlsx_test.cc reads, with openpyxl: a writer that is not ours.
import datetime
import sys

import openpyxl
from openpyxl.styles import Font

kind, path = sys.argv[1], sys.argv[2]
book = openpyxl.Workbook(write_only=kind == "big")


def generic(sheet):
    sheet.append(["#account=a7"])
    sheet.append([])
    sheet.append(["order_key", "kind", "amount", "fee", "settle_amount", "occurred_at", "shop", "paid", "value_date"])
    sheet.append(["A1", "payment", 10.5, 0.06, 10.5, datetime.datetime(2026, 11, 21, 10, 30, 15), "s, 1", True,
                  datetime.date(2026, 11, 22)])
    sheet.append(["A2", "refund", "2.50", None, None, "2026-11-21 11:00:00", 'say "x"\ntwice', False, None])
    sheet.append([20881234, "payment", 3, None, None, datetime.datetime(2026, 11, 21, 0, 0), "=1+1", None, None])
    sheet.append(["A4", "payment", 1, None, None, "2026-11-21", None, None, None])
    sheet["A7"] = 4.0e27
    sheet["A7"].font = Font(bold=True)
    sheet.append(["#control,count=4,amount=17.00"])


if kind == "generic":
    book.active.title = "cover"
    book.active["B2"] = "nothing here"
    book.active.merge_cells("B2:D4")
    hidden = book.create_sheet("old")
    generic(hidden)
    hidden["A4"] = "HIDDEN"
    hidden.sheet_state = "hidden"
    generic(book.create_sheet("Übersicht"))
    if len(sys.argv) > 3:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
elif kind == "big":
    sheet = book.create_sheet("rows")
    sheet.append(["order_key", "kind", "amount", "occurred_at", "text"])
    for i in range(int(sys.argv[3])):
        sheet.append([f"K{i}", "payment", 1.25, "2026-11-21 10:00:00", f"text {i % 100}"])
elif kind == "empty":
    book.active["A1"] = "No records"
book.save(path)
