# The channels deliver their bills. Sourced by run.sh; needs $folder, shop_sql, day_of.
#
# A bill is made in $folder/outbox and moved into the inbox in one rename, so that nobody sees half a file.

hand_in() {  # hand_in FILE INBOX-FOLDER
  chmod 644 "$1"
  mv "$1" "$folder/inbox/$2/"
}

# GBK inside, GBK entry names, no UTF-8 flag: zip keeps names as bytes in the C locale.
deliver_alipay() {
  local day_no=$1 stem work
  stem=20880012345678900156_$(day_of "$day_no" | tr -d -)
  work=$folder/outbox/alipay.$day_no
  mkdir "$work"
  shop_sql -c "SELECT line FROM scenario.alipay_detail($day_no)" | iconv -f UTF-8 -t GB18030 |
    sed 's/$/\r/' >"$work/$(printf '%s_业务明细.csv' "$stem" | iconv -f UTF-8 -t GB18030)"
  shop_sql -c "SELECT line FROM scenario.alipay_summary($day_no)" | iconv -f UTF-8 -t GB18030 |
    sed 's/$/\r/' >"$work/$(printf '%s_业务明细(汇总).csv' "$stem" | iconv -f UTF-8 -t GB18030)"
  LC_ALL=C zip -q -X -j "$work/bill.zip" "$work"/*.csv
  mv "$work/bill.zip" "$work/$stem.csv.zip"
  hand_in "$work/$stem.csv.zip" alipay
}

deliver_wechat() {
  local day_no=$1 day bill
  day=$(day_of "$day_no")
  bill=$folder/outbox/1601959334All${day}_$day.csv.gz
  shop_sql -c "SELECT line FROM scenario.wechat_bill($day_no)" | sed 's/$/\r/' | gzip -1 >"$bill"
  hand_in "$bill" wechat
}

deliver_citybank() {
  local day_no=$1 bill
  bill=$folder/outbox/citybank_$(day_of "$day_no").csv
  shop_sql -c "SELECT line FROM scenario.citybank_statement($day_no)" >"$bill"
  hand_in "$bill" citybank
}
