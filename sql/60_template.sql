-- Channels from templates: one call instead of three.

CREATE TABLE reconcile.channel_template (
  template  text PRIMARY KEY CHECK (template <> ''),
  time_zone text NOT NULL,
  currency  text NOT NULL,
  day_start interval NOT NULL DEFAULT '0',
  format    text NOT NULL,
  deadline  interval NOT NULL,
  built_in  boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE reconcile.channel_template IS 'What is known of a kind of channel: create_channel_from_template() starts from it';
COMMENT ON COLUMN reconcile.channel_template.template IS 'The template''s name';
COMMENT ON COLUMN reconcile.channel_template.time_zone IS 'The channel''s time zone';
COMMENT ON COLUMN reconcile.channel_template.currency IS 'The channel''s currency';
COMMENT ON COLUMN reconcile.channel_template.day_start IS 'When its day starts, relative to midnight';
COMMENT ON COLUMN reconcile.channel_template.format IS 'The file format of its transaction statements';
COMMENT ON COLUMN reconcile.channel_template.deadline IS 'How long after the day''s end its statement should be in';
COMMENT ON COLUMN reconcile.channel_template.built_in IS 'Shipped with the extension';

INSERT INTO reconcile.channel_template (template, time_zone, currency, format, deadline, built_in)
VALUES ('alipay', 'Asia/Shanghai', 'CNY', 'alipay.trade', '11 hours', true),
       ('wechat', 'Asia/Shanghai', 'CNY', 'wechat.trade', '11 hours', true),
       ('generic', 'UTC', 'EUR', 'generic.csv', '12 hours', true);

CREATE FUNCTION reconcile.create_channel_from_template(
  template text, account text, inbox text DEFAULT NULL, server name DEFAULT NULL, channel text DEFAULT NULL,
  currency text DEFAULT NULL, timezone text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_variable
DECLARE
  from_template reconcile.channel_template%ROWTYPE;
  name text := coalesce(channel, template);
BEGIN
  SELECT t.* INTO from_template FROM reconcile.channel_template t
  WHERE t.template = create_channel_from_template.template;
  IF NOT FOUND THEN
    RAISE EXCEPTION USING ERRCODE = 'undefined_object',
      MESSAGE = format('channel template "%s" does not exist', coalesce(template, 'NULL')),
      HINT = 'Templates are listed in reconcile.channel_template; reconcile.create_channel() needs none.';
  END IF;
  IF server IS NOT NULL THEN
    RAISE EXCEPTION USING ERRCODE = 'feature_not_supported',
      MESSAGE = 'this version does not fetch statements from a server',
      DETAIL = format('Server "%s" was named for channel "%s".', server, name),
      HINT = 'Have the files delivered to a folder and name it: inbox => ''file:///srv/bills/{yyyyMMdd}/*.zip''.';
  END IF;
  PERFORM reconcile.create_channel(name, coalesce(timezone, from_template.time_zone),
                                   coalesce(currency, from_template.currency), from_template.day_start,
                                   account => account);
  PERFORM reconcile.create_file_source(name || ' statements', name, from_template.format, inbox, account => account,
                                       options => jsonb_build_object('deadline', from_template.deadline));
  RETURN name;
END
$$;
COMMENT ON FUNCTION reconcile.create_channel_from_template(text, text, text, name, text, text, text)
IS 'Creates a channel, its account and the file source of its statements (source "<channel> statements") from a template';

GRANT SELECT ON reconcile.channel_template TO reconcile_reader;
GRANT EXECUTE ON FUNCTION reconcile.create_channel_from_template(text, text, text, name, text, text, text)
  TO reconcile_admin;
